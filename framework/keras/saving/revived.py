"""Models of classes that are not there any more, from the computation that was saved of them."""

from __future__ import annotations

import json
from typing import Any

from shardtape import storage
from shardtape.keras.layers.base import Layer
from shardtape.keras.models.model import Model
from shardtape.keras.saving import values
from shardtape.variable import Variable


def outline(model: Model) -> list[dict[str, Any]]:
    """What a file says of the layers of a model: names, shapes and which weights are theirs."""
    try:
        places = {id(v): i for i, v in enumerate(model.weights)}
    except ValueError:  # never built: there is nothing that could be revived
        return []
    rows = []
    for layer in model.layers:
        inputs = type(layer).__name__ == "InputLayer"
        try:
            shape = [tuple(layer.output.shape)] if inputs else layer.output_shape
        except (AttributeError, ValueError, RuntimeError):
            shape = "multiple"
        rows.append({
            "name": layer.name, "class_name": type(layer).__name__, "shape": values.encode(shape),
            "trainable": layer.trainable,
            "weights": [[places[id(v)], v.name] for v in layer.weights if id(v) in places],
        })  # fmt: skip
    return rows


class RevivedLayer(Layer):
    """A layer of a model without its class: name, shape and weights, but no call of its own."""

    _unseen = Layer._unseen | {"kept_variables", "_trained", "_saved_shape"}

    def __init__(self, row: dict[str, Any], kept: list[Variable], trained: set[int]) -> None:
        super().__init__(name=row["name"], trainable=row["trainable"])
        self.kept_variables, self._trained = kept, trained
        self._saved_shape = values.decode(row["shape"])
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Not there: raises NotImplementedError."""
        raise NotImplementedError(
            f"the layer {self.name!r} was loaded in a model without its class, and only the model "
            "can be called: pass the classes in `custom_objects` to have the layers' own calls"
        )

    @property
    def output_shape(self) -> Any:
        """As it was when the model was saved."""
        return self._saved_shape

    def _own_variables(self) -> list[Variable]:
        return self.kept_variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that were trained when the model was saved."""
        return [v for v in self.kept_variables if self.trainable and id(v) in self._trained]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.kept_variables if id(v) not in trained]


class RevivedModel(Model):
    """Calls the saved function of a model; its class's other methods are gone."""

    _unseen = Model._unseen | {"_loaded", "_trained", "_rows"}

    def __init__(self, loaded: Any, name: str, rows: list[dict[str, Any]] = []) -> None:  # noqa: B006
        super().__init__(name=name)
        self._loaded = loaded
        self.kept_variables = list(loaded.variables)
        self._trained = {id(v) for v in loaded.trainable_variables}
        self._rows = self._layers_of(rows)
        self.built = True

    def _layers_of(self, rows: list[dict[str, Any]]) -> list[Layer]:
        kept = self.kept_variables
        found = [place for row in rows for place in row["weights"]]
        if not all(i < len(kept) and kept[i].name == name for i, name in found):
            return []  # weights in another order
        return [
            type(row["class_name"], (RevivedLayer,), {})(
                row, [kept[i] for i, _ in row["weights"]], self._trained
            )
            for row in rows
        ]

    @property
    def layers(self) -> list[Layer]:
        """The layers as far as they are known: see RevivedLayer."""
        return list(self._rows)

    def call(self, inputs: Any, training: Any = False, mask: Any = None) -> Any:
        """The saved computation."""
        return self._loaded(inputs, training=bool(training))

    def _own_variables(self) -> list[Variable]:
        return self.kept_variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that were trained when the model was saved, but those of frozen layers."""
        frozen = {id(v) for layer in self._rows if not layer.trainable for v in layer.weights}
        return [
            v for v in self.kept_variables
            if self.trainable and id(v) in self._trained and id(v) not in frozen
        ]  # fmt: skip

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.kept_variables if id(v) not in trained]

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            f"{type(self).__name__} was loaded without its class, which has the configuration: "
            "pass the class in `custom_objects`"
        )


def revived(
    folder: str, class_name: str, config: dict[str, Any], rows: list[dict[str, Any]]
) -> RevivedModel:
    """The model that a SavedModel folder holds, without its class."""
    from shardtape.saved_model import load

    loaded = load(folder)
    name = config.get("name") if isinstance(config, dict) else None
    made = type(class_name, (RevivedModel,), {})
    return made(loaded, name or made.__name__.lower(), rows)


def holds_call(folder: str) -> bool:
    """Whether a folder holds the saved computation of a model."""
    path = storage.join(folder, "saved_model.json")
    if storage.size_bytes(path) is None:
        return False
    described = json.loads(storage.read_bytes(path))
    root = described["objects"][described["root"]]
    return "__call__" in root.get("children", {})
