"""Dtype policies: which types a layer keeps its weights in, and which it computes in."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.keras.floatx import floatx

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class Policy:
    """The dtypes of a layer: of its weights, and of its computation.

    Args:
      name: a dtype ("float32"), "mixed_float16" or "mixed_bfloat16" (weights in float32).

    Raises ValueError for another name.
    """

    def __init__(self, name: Any) -> None:
        if isinstance(name, dt.DType):
            name = name.name
        try:
            compute = dt.as_dtype(_MIXED.get(name, name))
        except (TypeError, ValueError):
            raise ValueError(
                f"Cannot convert value {name!r} to a mixed precision Policy. Valid policies "
                "include 'mixed_float16', 'mixed_bfloat16', and the name of any dtype such as "
                "'float32'."
            ) from None
        self._compute = compute
        self._variable = dt.float32 if name in _MIXED else compute
        self._name = name if name in _MIXED else compute.name

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype that a layer computes in."""
        return self._compute.name

    @property
    def variable_dtype(self) -> str:
        """The dtype of a layer's weights."""
        return self._variable.name

    @property
    def is_mixed(self) -> bool:
        """Whether weights are read in another dtype than they are kept in."""
        return self._compute is not self._variable

    def get_config(self) -> dict[str, Any]:
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Policy:
        return cls(config["name"])

    def __repr__(self) -> str:
        return f'<Policy "{self._name}">'


class _Global:
    policy: Policy | None = None


def global_policy() -> Policy:
    """The policy of layers that are given none: by default floatx's."""
    return _Global.policy or Policy(floatx())


def set_global_policy(policy: Any) -> None:
    """Sets it: a Policy, a name, or None for floatx's."""
    named = isinstance(policy, str)
    _Global.policy = None if policy is None else Policy(policy) if named else as_policy(policy)


def as_policy(given: Any) -> Policy:
    """What a layer was given as its `dtype`: a Policy, its configuration, a name or a dtype.

    None is the global policy. Raises TypeError for a name that is no dtype's, ValueError for a
    dictionary that is no policy's configuration.
    """
    if given is None:
        return global_policy()
    if isinstance(given, Policy):
        return given
    if isinstance(given, dict):
        if "name" not in (given.get("config") or {}):
            raise ValueError(
                f"Could not make a dtype policy of {given}: it is no configuration of a Policy."
            )
        return Policy.from_config(given["config"])
    return Policy(given if given in _MIXED else dt.as_dtype(given))


def serialize(policy: Policy) -> Any:
    """The dtype's name, of a mixed policy a dictionary, as layers' configurations hold it."""
    if not policy.is_mixed:
        return policy.name
    return {
        "module": "keras.mixed_precision", "class_name": "Policy",
        "config": policy.get_config(), "registered_name": None,
    }  # fmt: skip
