"""`tf.train.TrackableView`: the objects that a checkpoint of an object would hold."""

from __future__ import annotations

from typing import Any

from shardtape.checkpoint.object_graph import children_of, nodes_of


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
