"""Errors of user code on their way from a worker to the driver: one readable text.

The text has the frames of the user's own files and leaves out those of Shardtape, Ray and other
installed packages, because the first thing a user looks for is the own line.
"""

from __future__ import annotations

import os
import sysconfig
import traceback

from shardtape import errors
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.ids import BatchId
from shardtape.source_lines import original_frame, plain_text

_OWN = os.path.dirname(os.path.abspath(errors.__file__))
_INSTALLED = tuple({os.path.abspath(sysconfig.get_path(n)) for n in ("stdlib", "purelib")})
# folders of this package in a checkout, beside framework/
_FOLDERS = tuple(
    os.path.join(os.path.dirname(_OWN), name) + os.sep for name in ("ps", "workers", "deploy")
)


def is_users(filename: str) -> bool:
    """Whether a source file belongs to the user and not to an installed package."""
    if filename.startswith("<"):
        return not filename.startswith("<frozen") and not filename.startswith("<shardtape")
    path = os.path.abspath(filename)
    return not path.startswith((_OWN + os.sep, *_FOLDERS, *(p + os.sep for p in _INSTALLED)))


def user_traceback(error: BaseException) -> str:
    """The user's frames of an exception and of what it was raised from, the newest last; "" if
    there are none."""
    frames: list[traceback.FrameSummary] = []
    cause: BaseException | None = error
    while cause is not None:  # a graph's node re-raises what a Python function in it raised
        whole = [original_frame(frame) for frame in traceback.extract_tb(cause.__traceback__)]
        frames += [f for f in whole if is_users(f.filename) and f not in frames]
        cause = cause.__cause__
    return "".join(traceback.format_list(frames)).rstrip()


def to_message(error: BaseException, generation: int, item: pb.Batch | None = None) -> pb.Failed:
    """What a worker sends of an exception; `item` is the batch that it was computing."""
    return pb.Failed(
        generation=generation,
        batch=item,
        error_type=type(error).__name__,
        message=plain_text(error),
        traceback=user_traceback(error),
        error_code=error.error_code if isinstance(error, errors.OpError) else errors.UNKNOWN,
    )


def to_error(failed: pb.Failed, worker: int = -1, on_workers: int = 1) -> errors.OpError:
    """What the driver raises for it: of the same class if that is one of Shardtape's.

    Args:
      worker: that sent it, where it is known.
      on_workers: number of different workers on which it was raised.
    """
    where = "the model or the data" if worker < 0 else f"worker-{worker}"
    if failed.HasField("batch"):
        b = failed.batch
        where = f"{BatchId(b.epoch, b.split, b.index)} on worker-{worker}"
        if on_workers > 1:
            where += f", and on {on_workers - 1} other before"
    text = f"{failed.error_type} in {where}: {failed.message}"
    if failed.traceback:
        text += "\n" + failed.traceback
    return errors.from_code(failed.error_code or errors.UNKNOWN, text)
