"""How a model was compiled, as Keras 2.15 writes it in its files."""

from __future__ import annotations

import logging
from typing import Any

from shardtape import optimizers
from shardtape.keras import losses, metrics
from shardtape.keras.metrics.base import Metric
from shardtape.keras.saving import optimizer_state
from shardtape.keras.saving.keras_form import NoKerasForm, as_json, described
from shardtape.keras.saving.keras_reading import plain_config
from shardtape.keras.saving.registry import known

_log = logging.getLogger("shardtape")
_NOT_IN_KERAS = ("loss_scale_factor", "lazy")
_BY_NAME = ("loss", "metrics", "weighted_metrics")


def optimizer_form(optimizer: Any) -> dict[str, Any]:
    """An optimizer as Keras describes it. Raises NoKerasForm for one that Keras has not."""
    if not isinstance(optimizer, optimizers.Optimizer):
        raise NoKerasForm(f"the optimizer {optimizer!r} has no form in Keras's JSON")
    out = described(optimizer)
    for name in _NOT_IN_KERAS:
        out["config"].pop(name, None)
    if isinstance(optimizer, optimizers.legacy.Optimizer):
        if out["module"] == "keras.optimizers":
            out["module"] = "keras.optimizers.legacy"
        return out
    out["config"].update(jit_compile=False, is_legacy_optimizer=False)
    return out


def compile_form(model: Any) -> dict[str, Any] | None:
    """The `compile_config` of a model; None where it is not compiled."""
    given = model._compile_arguments
    if given is None:
        return None
    out = {"optimizer": optimizer_form(optimizer_state.inner(given["optimizer"]))}
    for name in ("loss", "metrics", "loss_weights", "weighted_metrics", "run_eagerly",
                 "steps_per_execution"):  # fmt: skip
        out[name] = _form(given[name])
    return {**out, "jit_compile": None}


def own_compile_form(model: Any) -> Any:
    """What a model's own `get_compile_config` gives, as JSON; None where it has none.

    Raises NoKerasForm for what JSON cannot hold.
    """
    from shardtape.keras.models.model import Model

    if type(model).get_compile_config is Model.get_compile_config:
        return None
    config = model.get_compile_config()
    if config is None or type(model).compile_from_config is Model.compile_from_config:
        return config
    return {k: _own_form(v) for k, v in config.items()}


def _own_form(value: Any) -> Any:
    return optimizer_form(value) if isinstance(value, optimizers.Optimizer) else _form(value)


def compile_config(model: Any) -> dict[str, Any] | None:
    """As `compile_form`, with the optimizer as it was given; None where there is nothing."""
    form = compile_form(model)
    if form is not None and isinstance(model._optimizer_given, str):
        form["optimizer"] = model._optimizer_given
    return form


def _form(value: Any) -> Any:
    if isinstance(value, Metric) and type(value) is metrics.MeanMetricWrapper:
        config = {**value.get_config(), "fn": value._fn.__name__}
        return {"module": "keras.metrics", "class_name": "MeanMetricWrapper",
                "config": as_json(config), "registered_name": None}  # fmt: skip
    if isinstance(value, (list, tuple)):
        return [_form(v) for v in value]
    if isinstance(value, dict):
        return {k: _form(v) for k, v in value.items()}
    return as_json(value)


def training_form(model: Any) -> dict[str, Any] | None:
    """The `training_config` of the older HDF5 files."""
    form = compile_form(model)
    if form is None:
        return None
    optimizer = form["optimizer"]
    if optimizer.get("module") == "keras.optimizers":  # Keras looks its own up by this name there
        optimizer = {**optimizer, "class_name": f"Custom>{optimizer['class_name']}"}
    return {
        **{k: form[k] for k in ("loss", "metrics", "weighted_metrics", "loss_weights")},
        "optimizer_config": {k: optimizer[k] for k in ("class_name", "config")},
    }


def compile_from(model: Any, form: dict[str, Any]) -> bool:
    """Compiles a model as a `compile_config` or `training_config` says.

    Returns False, with a warning, where the optimizer is none of ours.
    Raises ValueError for a loss or metric that nobody knows (named).
    """
    described_optimizer = plain_config(form.get("optimizer", form.get("optimizer_config")))
    optimizer = _optimizer(described_optimizer)
    if optimizer is None:
        return False
    arguments = {
        "loss": _taken(plain_config(form.get("loss")), losses.get),
        "metrics": _metrics(form.get("metrics")),
        "weighted_metrics": _metrics(form.get("weighted_metrics")),
        "loss_weights": form.get("loss_weights"),
    }
    more = {k: form[k] for k in ("run_eagerly", "steps_per_execution") if form.get(k) is not None}
    model.compile(optimizer=optimizer, **arguments, **more)
    return True


def _metrics(form: Any) -> Any:
    """Metrics, which the older files list by outputs also where there is one output."""
    taken = _taken(plain_config(form), metrics.get)
    if isinstance(taken, list) and any(isinstance(t, list) for t in taken):
        taken = [[m for m in t if m is not None] if isinstance(t, list) else t for t in taken]
        return taken[0] if len(taken) == 1 else taken
    return taken


def _optimizer(form: Any) -> Any:
    if isinstance(form, str):
        return optimizers.get(form)
    name = form["class_name"]
    own = known(name)
    config = dict(form["config"])
    if own is None and config.pop("is_legacy_optimizer", False):
        return _legacy(name, config)
    try:
        return optimizers.deserialize({"class_name": name, "config": config},
                                      None if own is None else {name: own})  # fmt: skip
    except (ValueError, TypeError) as error:
        _log.warning("The model is not compiled, compile it yourself: %s", error)
        return None


def _legacy(name: str, config: dict[str, Any]) -> Any:
    cls = getattr(optimizers.legacy, name, None)
    if cls is None:
        _log.warning("The model is not compiled, compile it yourself: there is no optimizer "
                     "legacy.%s", name)  # fmt: skip
        return None
    return cls.from_config(config)


def _taken(value: Any, get: Any) -> Any:
    """Losses and metrics of their configurations, in their structure."""
    if isinstance(value, dict) and "class_name" in value:
        if value["class_name"] == "MeanMetricWrapper":
            config = dict(value["config"])
            function = config.pop("fn")
            found = get(function) if isinstance(function, str) else function
            return metrics.MeanMetricWrapper(found, **config)
        config = value.get("config", {})
        if isinstance(config.get("fn"), str):  # which function it is, the class says too
            value = {**value, "config": {k: v for k, v in config.items() if k != "fn"}}
        return get(value)
    if isinstance(value, dict):
        return {k: _taken(v, get) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_taken(v, get) for v in value]
    if isinstance(value, str):
        return known(value) or value
    return value
