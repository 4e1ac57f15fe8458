"""`tf.data.Options`: settings of a dataset. Those that change nothing here are kept and shown."""

from __future__ import annotations

import enum
from typing import Any


class AutoShardPolicy(enum.IntEnum):
    """How a dataset is divided among workers."""

    OFF = -1
    AUTO = 0
    FILE = 1
    DATA = 2
    HINT = 3


class ExternalStatePolicy(enum.Enum):
    """What happens to state outside the dataset when it is serialised."""

    WARN = 0
    IGNORE = 1
    FAIL = 2


class AutotuneAlgorithm(enum.Enum):
    """How parallelism is tuned."""

    DEFAULT = 0
    HILL_CLIMB = 1
    GRADIENT_DESCENT = 2
    MAX_PARALLELISM = 3
    STAGE_BASED = 4


class _Settings:
    """Named settings that are None until they are set; an unknown name is an error."""

    _names: dict[str, Any] = {}  # name -> factory of the default, or None
    _types: dict[str, type] = {}  # of those that are not bool

    def __init__(self) -> None:
        for name, default in self._names.items():
            object.__setattr__(self, name, default() if callable(default) else default)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._names:
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}.")
        kind = self._types.get(name, bool)
        if not isinstance(value, kind):
            raise TypeError(
                f'Property "{name}" must be of type {kind}, got: {value} (type: {type(value)})'
            )
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={getattr(self, n)!r}" for n in self._names)
        return f"{type(self).__name__}({shown})"

    def _merged(self, other: Any) -> Any:
        made = type(self)()
        for name in self._names:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, _Settings):
                value = mine._merged(theirs)
            else:
                value = mine if theirs is None else theirs
            object.__setattr__(made, name, value)
        return made


class AutotuneOptions(_Settings):
    """Settings of tuning; accepted, not used."""

    _names = dict.fromkeys(
        ("enabled", "cpu_budget", "ram_budget", "autotune_algorithm", "initial_parallelism")
    )
    _types = {
        "cpu_budget": int, "ram_budget": int, "initial_parallelism": int,
        "autotune_algorithm": AutotuneAlgorithm,
    }  # fmt: skip


class DistributeOptions(_Settings):
    """How the dataset is divided among workers.

    Attributes:
      auto_shard_policy: an `AutoShardPolicy`.
      num_devices: number of devices.
    """

    _names = {"auto_shard_policy": AutoShardPolicy.AUTO, "num_devices": None}
    _types = {"auto_shard_policy": AutoShardPolicy, "num_devices": int}


class OptimizationOptions(_Settings):
    """Graph rewrites; accepted, not used: rows of tensors are always fused."""

    _names = dict.fromkeys(
        ("apply_default_optimizations", "filter_fusion", "filter_parallelization",
         "inject_prefetch", "map_and_batch_fusion", "map_and_filter_fusion", "map_fusion",
         "map_parallelization",
         "noop_elimination", "parallel_batch", "seq_interleave_prefetch",
         "shuffle_and_repeat_fusion", "warm_start")
    )  # fmt: skip


class ThreadingOptions(_Settings):
    """Thread numbers; accepted, not used."""

    _names = dict.fromkeys(("max_intra_op_parallelism", "private_threadpool_size"))
    _types = dict.fromkeys(("max_intra_op_parallelism", "private_threadpool_size"), int)


class Options(_Settings):
    """Settings of a dataset, for `Dataset.with_options`.

    Attributes:
      deterministic: whether parallel transformations keep the order (default True).
    """

    deterministic: bool | None

    _names = {
        "autotune": AutotuneOptions,
        "deterministic": None,
        "experimental_deterministic": None,
        "experimental_distribute": DistributeOptions,
        "experimental_external_state_policy": None,
        "experimental_optimization": OptimizationOptions,
        "experimental_slack": None,
        "experimental_symbolic_checkpoint": None,
        "experimental_warm_start": None,
        "experimental_threading": None,
        "threading": ThreadingOptions,
    }
    _types = {
        "autotune": AutotuneOptions,
        "experimental_distribute": DistributeOptions,
        "experimental_external_state_policy": ExternalStatePolicy,
        "experimental_optimization": OptimizationOptions,
        "experimental_threading": ThreadingOptions,
        "threading": ThreadingOptions,
    }

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "experimental_deterministic":
            super().__setattr__("deterministic", value)
        if name == "experimental_threading":
            super().__setattr__("threading", value)
        super().__setattr__(name, value)

    def merge(self, options: Options) -> Options:
        """These options, replaced by what is set in `options`."""
        return self._merged(options)
