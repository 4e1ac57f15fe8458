"""What an optimizer is and where it stands, as plain values: its configuration and its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shardtape.errors import UnimplementedError
from shardtape.optimizers import custom
from shardtape.optimizers.learning_rate import Rated
from shardtape.optimizers.listing import ListedState
from shardtape.optimizers.rule import learning_rate_from_config
from shardtape.optimizers.schedules import LearningRateSchedule
from shardtape.optimizers.schedules import serialize as serialize_schedule


class Described(Rated, ListedState):
    """What of `Optimizer` concerns its description; its `__init__` sets what is named."""

    _undecayed: dict[int, str]
    weight_decay: Any
    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: Any
    use_ema: Any
    ema_momentum: Any
    ema_overwrite_frequency: Any
    loss_scale_factor: float | None

    def build(self, var_list: Iterable[Any]) -> None:
        """Makes the slots of variables that have none yet."""
        raise NotImplementedError

    def rule_config(self) -> dict[str, Any]:
        """What a shard makes its update rule of; JSON-able.

        Raises UnimplementedError for an optimizer that defines `update_step`.
        """
        if self._updates_by_step:
            raise custom.only_here(self)
        return self._current_rule_config()

    def _current_rule_config(self) -> dict[str, Any]:
        config = self.rule.config()
        config["config"]["exclude_from_weight_decay"] += self._undecayed.values()
        if self._rate is not None or self._callable is not None:  # it may have been assigned to
            config["config"]["learning_rate"] = self.current_learning_rate()
        return config

    def state(self) -> dict[str, Any]:
        """`{"iterations", "learning_rate", "slots"}`: the slots by name, then by variable, as
        copies in the order of `build`. The learning rate is None for a schedule."""
        scheduled = isinstance(self.rule.learning_rate, LearningRateSchedule)
        return {
            "iterations": self._step(),
            "learning_rate": None if scheduled else self.current_learning_rate(),
            "slots": {
                name: [self._slots_of(v)[name].copy() for v in self._variables]
                for name in self.rule.slots
            },
        }

    def set_state(self, state: Mapping[str, Any], var_list: Iterable[Any]) -> None:
        """Takes over what `state` returned.

        Args:
          var_list: the variables that the slots belong to, in their order.

        Raises ValueError that names a slot or variable which does not fit.
        """
        variables = list(var_list)
        self.build(variables)
        for name in self.rule.slots:
            arrays = state["slots"].get(name)
            if arrays is None or len(arrays) != len(variables):
                raise ValueError(
                    f"{self.name}: the state has no slot {name!r} for {len(variables)} variables"
                )
            for variable, array in zip(variables, arrays):
                live = self._slots_of(variable)[name]
                if live.shape != array.shape:
                    raise ValueError(
                        f"{self.name}: slot {name!r} of variable {variable.name} has shape "
                        f"{live.shape}, the state has {array.shape}"
                    )
                live[...] = array
        if isinstance(self._iterations, int):
            self._iterations = int(state["iterations"])
        else:
            self._iterations.assign(int(state["iterations"]))
        if state.get("learning_rate") is not None:
            self.learning_rate = state["learning_rate"]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        rate = self._current_rule_config()["config"]["learning_rate"]
        if isinstance(self.rule.learning_rate, LearningRateSchedule):
            rate = serialize_schedule(self.rule.learning_rate)
        return {
            "name": self.name,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "jit_compile": False,
            "is_legacy_optimizer": False,
            "learning_rate": rate,
            **{k: v for k, v in self.rule.own_config().items() if k != "lazy" or v},
            **({"loss_scale_factor": self.loss_scale_factor} if self.loss_scale_factor else {}),
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """An optimizer of `get_config`'s dictionary, or of Keras's."""
        arguments = dict(config)
        for ignored in ("is_legacy_optimizer", "gradient_accumulation_steps"):
            if arguments.pop(ignored, None):
                raise UnimplementedError(f"{cls.__name__}: {ignored} is not supported")
        if "learning_rate" in arguments:
            arguments["learning_rate"] = learning_rate_from_config(
                arguments["learning_rate"], custom_objects
            )
        return cls(**arguments)

    def __reduce__(self) -> Any:
        # into a job goes what the optimizer is, not what it has done: the shards hold that
        return _from_config, (type(self), self.get_config())


def _from_config(cls: type[Described], config: dict[str, Any]) -> Any:
    return cls.from_config(config)
