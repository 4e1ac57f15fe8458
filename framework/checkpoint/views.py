"""Object graphs: `tf.train.TrackableView` of live objects, `CheckpointView` of saved ones."""

from __future__ import annotations

from collections import deque
from typing import Any

from shardtape import storage
from shardtape.checkpoint.object_graph import children_of, nodes_of
from shardtape.checkpoint.reader import read


class TrackableView:
    """The objects below `root`, as checkpoints walk over them."""

    def __init__(self, root: Any) -> None:
        self._root = root

    @property
    def root(self) -> Any:
        return self._root

    @classmethod
    def children(cls, obj: Any, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """What hangs on an object, by name."""
        return children_of(obj)

    def descendants(self) -> list[Any]:
        """The root and all objects below it, the nearest first."""
        return [node.value for node in nodes_of(self._root)]


class CheckpointView:
    """The objects that a checkpoint describes, by number; the root is 0.

    Args:
      save_path: what `Checkpoint.save` or `write` returned.

    Raises:
      NotFoundError: there is no checkpoint.
      ValueError: it holds Variables by name alone, as those of jobs do.
    """

    def __init__(self, save_path: storage.Path) -> None:
        stored = read(save_path)
        try:
            graph = stored.state.get("object_graph", {"nodes": []})
        finally:
            stored.close()
        self._nodes: list[dict[str, int]] = [dict(n["children"]) for n in graph["nodes"]]
        if not self._nodes:
            raise ValueError(
                f"The checkpoint {storage.text(save_path)} describes no objects; "
                "`tf.train.list_variables` lists what it holds."
            )

    def children(self, node_id: int) -> dict[str, int]:
        """The numbers of what hangs on an object, by name. Raises IndexError."""
        return dict(self._nodes[node_id])

    def descendants(self) -> list[int]:
        """The numbers of all objects, the nearest to the root first."""
        found, seen = [0], {0}
        for number in found:
            new = [c for c in dict.fromkeys(self._nodes[number].values()) if c not in seen]
            found += new
            seen.update(new)
        return found

    def match(self, obj: Any) -> dict[int, Any]:
        """The live objects, beginning at `obj`, that have the names and places of saved ones."""
        matched = {0: obj}
        queue = deque([0])
        while queue:
            number = queue.popleft()
            live = children_of(matched[number])
            for name, child in self._nodes[number].items():
                if name in live and child not in matched:
                    matched[child] = live[name]
                    queue.append(child)
        return matched

    def diff(self, obj: Any) -> tuple[dict[int, Any], list[int], list[Any]]:
        """(matching objects by number, numbers without an object, objects without a number)."""
        matched = self.match(obj)
        held = {id(value) for value in matched.values()}
        left = [number for number in self.descendants() if number not in matched]
        return matched, left, [v for v in TrackableView(obj).descendants() if id(v) not in held]
