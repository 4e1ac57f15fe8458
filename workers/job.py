"""What is sent of a job: the user's functions pickled by value, the data by reference."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shardtape.errors import InvalidArgumentError
from shardtape.keras.models.model import Model
from shardtape.variable import Variable
from shardtape.workers import failures
from shardtape.workers.config import JobConfig
from shardtape.workers.data import DataSpec

_log = logging.getLogger("shardtape.workers")

# A pickled model above this is told to the user, above that refused: somewhere in it is data.
_LARGE_MODEL_BYTES = 8 << 20
_TOO_LARGE_MODEL_BYTES = 256 << 20


@dataclass
class Functions:
    """The user's code of a job.

    Fields:
      model: the model function; train, test: functions or iterables of data, or None.
      build: makes a step of (model, seed, feeds); None: `CompiledStep`.
    """

    model: Any
    train: Any = None
    test: Any = None
    build: Callable[..., Any] | None = None


@dataclass
class Job:
    """A job as the coordinator and the workers get it.

    Fields:
      functions: pickled `Functions`.
      train, test: without functions.
      optimizer: the rule's configuration for the shards; clipping: the optimizer's own for the
        workers, where it clips by norms, else None.
      variables: of those that `process_environment` sets, the ones that the user has set.
      inherited: environment that all processes of the Ray in use have, as far as it is known.
    """

    config: JobConfig
    functions: bytes
    train: DataSpec
    test: DataSpec | None
    optimizer: dict[str, Any]
    clipping: dict[str, Any] | None = None
    partitioner: Any = None
    token: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    inherited: dict[str, str] = field(default_factory=dict)


def strip(spec: DataSpec) -> DataSpec:
    """The spec without its function, which travels with `Functions`."""
    return replace(spec, function=None)


def checked_optimizer(given: Any) -> Any:
    """The optimizer that was given, by its name or as an object.

    Raises InvalidArgumentError for an unknown one, and for one whose loss scale changes while it
    runs.
    """
    from shardtape import optimizers
    from shardtape.keras.mixed_precision import LossScaleOptimizer

    try:
        optimizer = optimizers.get(given)
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError(f"optimizer: {error}") from None
    if isinstance(optimizer, LossScaleOptimizer):
        inner = type(optimizer.inner_optimizer).__name__
        raise InvalidArgumentError(
            f"optimizer: a job does not scale the loss as LossScaleOptimizer does. Give "
            f"{inner}(..., loss_scale_factor=1024.0) and multiply the step's loss by 1024.0, or "
            "use the policy mixed_bfloat16, which needs no scale"
        )
    return optimizer


def clipping_of(optimizer: Any) -> dict[str, Any] | None:
    """The optimizer's configuration, if it does something on the workers (clips by norms)."""
    from shardtape.optimizers import serialize

    clips = (optimizer.clipnorm, optimizer.global_clipnorm, optimizer.loss_scale_factor)
    return serialize(optimizer) if any(clips) else None


def pack(functions: Functions) -> bytes:
    """Pickles the user's code by value, as workers may not find the module it is from.

    Raises:
      InvalidArgumentError: it cannot be pickled, or holds large arrays.
    """
    import ray.cloudpickle as cloudpickle

    with _by_value(cloudpickle, functions):
        try:
            packed = _pickled(cloudpickle, functions)
        except Exception as error:
            raise InvalidArgumentError(
                f"the model cannot be sent to workers: {type(error).__name__}: {error}. It must "
                "not refer to Variables, files, locks or processes of the script: make what it "
                "needs inside the function"
            ) from error
    if len(packed) > _LARGE_MODEL_BYTES:
        text = (
            f"the pickled model has {len(packed):,} bytes{_largest(functions.model)}: give data "
            "through train= and test=, which travel by reference"
        )
        if len(packed) > _TOO_LARGE_MODEL_BYTES:
            raise InvalidArgumentError(text)
        _log.warning("%s", text)
    return packed


def _pickled(cloudpickle: Any, functions: Functions) -> bytes:
    """Raises TypeError for a Variable: each worker would train a copy of its own."""

    class Pickler(cloudpickle.CloudPickler):
        def persistent_id(self, thing: Any) -> None:
            held = [thing] if isinstance(thing, Variable) else []
            if isinstance(thing, Model) and thing.built:
                held = thing.weights
            if held:
                raise TypeError(
                    f"Variable '{held[0].name}' cannot be pickled into a job: create it inside "
                    "the model function, which runs once in each worker"
                )

    content = io.BytesIO()
    Pickler(content).dump(functions)
    return content.getvalue()


def unpack(packed: bytes) -> Functions:
    import ray.cloudpickle as cloudpickle

    return cloudpickle.loads(packed)


@contextlib.contextmanager
def _by_value(cloudpickle: Any, functions: Functions) -> Iterator[None]:
    """Modules of the user's own files are pickled by value, installed ones by reference."""
    registered = []
    for thing in (functions.model, functions.train, functions.test, functions.build):
        module = sys.modules.get(getattr(thing, "__module__", None) or "")
        path = getattr(module, "__file__", None)
        if module is None or path is None or module.__name__ == "__main__":
            continue
        if failures.is_users(path) and module not in registered:
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _largest(function: Any) -> str:
    """The largest array that a function refers to, for a warning."""
    if not isinstance(function, types.FunctionType):
        return ""
    found: dict[str, Any] = {
        name: function.__globals__.get(name) for name in function.__code__.co_names
    }
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # a cell without contents yet
            found[name] = cell.cell_contents
    sizes = {name: value.nbytes for name, value in found.items() if isinstance(value, np.ndarray)}
    if not sizes:
        return ""
    name = max(sizes, key=lambda key: sizes[key])
    return f", {sizes[name]:,} of them the array {name!r}"
