"""A folder with checkpoints in it: the newest whole one, the next one, and which ones go."""

from __future__ import annotations

import re
from collections.abc import Collection

from shardtape import errors, storage
from shardtape.checkpoint.manifest import Manifest, check_size, read_manifest
from shardtape.checkpoint.part import INDEX, MANIFEST, SUFFIX
from shardtape.checkpoint.state_file import read_state

_NAME = re.compile(r"checkpoint-(\d+)\.step-\d+\.generation-\d+")


def new_directory(parent: storage.Path, step: int = 0, generation: int = 0) -> str:
    """Makes the folder of the next checkpoint; no two callers get the same one.

    Args:
      parent: folder of the checkpoints of a job; made if missing.
      step, generation: for the name only.

    Returns:
      Its path, `parent/checkpoint-000007.step-480.generation-0`.
    """
    storage.make_directory(parent)
    sequence = _last_number(parent) + 1
    while True:
        name = f"checkpoint-{sequence:06d}.step-{step}.generation-{generation}"
        path = storage.join(parent, name)
        if storage.make_new_directory(path):
            return path
        sequence += 1


def _last_number(parent: storage.Path) -> int:
    """The highest number among the finished and unfinished checkpoints of a folder."""
    numbers = [int(m[1]) for m in map(_NAME.fullmatch, storage.names(parent)) if m]
    return max([0, *numbers, *(manifest.sequence for manifest in _manifests(parent))])


def next_sequence(directory: storage.Path) -> int:
    """The sequence number of a checkpoint that is about to be finished in `directory`."""
    parent, name = storage.split(directory)
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else _last_number(parent) + 1


def _finished(parent: storage.Path) -> list[str]:
    """The paths in a folder that have a manifest, by name."""
    found = set()
    for name in storage.names(parent):
        path = storage.join(parent, name)
        if name.endswith(INDEX):
            found.add(path.removesuffix(INDEX))
        elif storage.size_bytes(storage.join(path, MANIFEST)) is not None:
            found.add(path)
    return sorted(found)


def _manifests(parent: storage.Path) -> list[Manifest]:
    """The readable manifests below a folder, the newest first."""
    found = []
    for path in _finished(parent):
        try:
            found.append(read_manifest(path))
        except errors.OpError:  # corrupt, or removed at this moment: it does not count
            continue
    return sorted(found, key=lambda manifest: (manifest.sequence, manifest.time), reverse=True)


def whole_checkpoints(parent: storage.Path) -> list[str]:
    """Paths of the finished checkpoints in a folder that have all their files, newest first.

    Contents are not read: `read(path)` finds a file that has changed, and then the next of these
    is the one to try.
    """
    paths = []
    for manifest in _manifests(parent):
        try:
            for fragment in manifest.files:
                check_size(manifest.folder, fragment)
        except errors.DataLossError:
            continue
        paths.append(manifest.path)
    return paths


def broken_checkpoints(parent: storage.Path) -> list[tuple[str, str]]:
    """(path, fault) of the checkpoints in a folder that were finished and are not whole any
    more, those with the highest numbers first.

    A fault is one line that names the file: a manifest that is cut off or has changed, a file
    that is missing or has another size.
    """
    found = []
    for path in reversed(_finished(parent)):
        try:
            manifest = read_manifest(path)
            for fragment in manifest.files:
                check_size(manifest.folder, fragment)
        except errors.InvalidArgumentError:  # TensorFlow's own
            continue
        except errors.OpError as error:
            found.append((path, error.message))
    return found


def latest_checkpoint(
    checkpoint_dir: storage.Path, latest_filename: str | None = None
) -> str | None:
    """The path of the newest whole checkpoint in a folder; None where there is none.

    It is the one that the folder's file `checkpoint` names; where there is no such file, as in
    the folders of jobs, or what it names is not whole, the one that was finished last.

    Args:
      checkpoint_dir: folder that holds checkpoints.
      latest_filename: another name of the file `checkpoint`; without it nothing is found.
    """
    state = read_state(checkpoint_dir, latest_filename)
    if state is None and latest_filename is not None:
        return None
    if state is not None and is_whole(state.model_checkpoint_path):
        return state.model_checkpoint_path
    return next(iter(whole_checkpoints(checkpoint_dir)), None)


def is_whole(path: storage.Path) -> bool:
    """Whether a checkpoint is finished and has all its files with their sizes."""
    try:
        manifest = read_manifest(path)
        for fragment in manifest.files:
            check_size(manifest.folder, fragment)
    except errors.OpError:
        return False
    return True


def prune(parent: storage.Path, max_to_keep: int | None, keep: Collection[str] = ()) -> list[str]:
    """Removes all but the newest whole checkpoints, and what older ones left unfinished.

    One that was finished and has been damaged since stays: its arrays may be all that is left of
    a run, and nobody asked to give them up.

    Args:
      parent: folder of the checkpoints.
      max_to_keep: whole ones that stay; None keeps all of them. The newest always stays.
      keep: paths that stay besides, for example one that is being read.

    Returns:
      The paths that were removed.
    """
    whole = whole_checkpoints(parent)
    if not whole:
        return []
    kept = {storage.text(path).rstrip("/") for path in keep}
    old = [] if max_to_keep is None else whole[max(1, max_to_keep) :]
    newest = read_manifest(whole[0]).sequence
    damaged = {path for path, _ in broken_checkpoints(parent)}
    for name in storage.names(parent):
        path, found = storage.join(parent, name), _NAME.fullmatch(name)
        # A checkpoint under way has a higher number than any finished one.
        if found and int(found[1]) < newest and path not in whole and path not in damaged:
            old.append(path)
    return [path for path in old if path not in kept and remove_checkpoint(path)]


def remove_checkpoint(path: storage.Path) -> bool:
    """Removes a checkpoint: its manifest first, so that half a removal leaves no half checkpoint.

    Only files of a checkpoint are removed; the folder stays if it holds others.

    Returns:
      False if there was nothing to remove.
    """
    prefix = storage.text(path).rstrip("/")
    parent, own = storage.split(prefix)
    files = [name for name in storage.names(parent) if name.startswith(f"{own}.data-")]
    if storage.size_bytes(prefix + INDEX) is not None:
        storage.remove(prefix + INDEX)
        for name in files:
            storage.remove(storage.join(parent, name))
        if storage.size_bytes(storage.join(prefix, MANIFEST)) is not None:
            remove_folder(prefix)
        return True
    return remove_folder(prefix)


def remove_folder(path: str) -> bool:
    """Removes a checkpoint that is a folder; see `remove_checkpoint`."""
    if not storage.is_directory(path):
        return False
    names = storage.names(path)
    manifests = [name for name in names if name.startswith(MANIFEST)]
    ours = sorted(manifests) + [name for name in names if name.endswith(SUFFIX)]
    for name in ours:
        storage.remove(storage.join(path, name))
    if len(ours) == len(names):
        storage.remove_directory(path)
    return bool(ours) or not names


def abandon(directory: storage.Path) -> None:
    """Removes what was written of a checkpoint that will not be finished.

    Raises:
      FailedPreconditionError: it is finished.
    """
    if storage.size_bytes(storage.join(directory, MANIFEST)) is not None:
        raise errors.FailedPreconditionError(
            f"the checkpoint {storage.text(directory)} is finished; `prune` removes old ones"
        )
    remove_checkpoint(directory)
