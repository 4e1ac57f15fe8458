"""Models of classes that are not there any more, from the computation that was saved of them."""

from __future__ import annotations

import json
from typing import Any

from shardtape import storage
from shardtape.keras.models.model import Model
from shardtape.variable import Variable


class RevivedModel(Model):
    """Calls the saved function of a model; its class's other methods are gone."""

    _unseen = Model._unseen | {"_loaded", "_trained"}

    def __init__(self, loaded: Any, name: str) -> None:
        super().__init__(name=name)
        self._loaded = loaded
        self.kept_variables = list(loaded.variables)
        self._trained = {id(v) for v in loaded.trainable_variables}
        self.built = True

    def call(self, inputs: Any, training: Any = False, mask: Any = None) -> Any:
        """The saved computation."""
        return self._loaded(inputs, training=bool(training))

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

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            f"{type(self).__name__} was loaded without its class, which has the configuration: "
            "pass the class in `custom_objects`"
        )


def revived(folder: str, class_name: str, config: dict[str, Any]) -> RevivedModel:
    """The model that a SavedModel folder holds, without its class."""
    from shardtape.saved_model import load

    loaded = load(folder)
    name = config.get("name") if isinstance(config, dict) else None
    made = type(class_name, (RevivedModel,), {})
    return made(loaded, name or made.__name__.lower())


def holds_call(folder: str) -> bool:
    """Whether a folder holds the saved computation of a model."""
    path = storage.join(folder, "saved_model.json")
    if storage.size_bytes(path) is None:
        return False
    described = json.loads(storage.read_bytes(path))
    root = described["objects"][described["root"]]
    return "__call__" in root.get("children", {})
