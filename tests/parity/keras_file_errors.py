"""Mistakes around files of models: the class and the text of the error in either framework."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np


def _model(tf: Any, units: int = 4, layers: int = 2, name: str = "d") -> Any:
    k = tf.keras
    made = [k.layers.Dense(units, input_shape=(3,), name=f"{name}0")]
    made += [k.layers.Dense(2, name=f"{name}{i}") for i in range(1, layers)]
    return k.Sequential(made)


def _subclass(tf: Any) -> Any:
    class Own(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.d = tf.keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.d(x)

    return Own()


def _weights(tf: Any, folder: str, name: str = "w.h5") -> str:
    path = os.path.join(folder, name)
    _model(tf).save_weights(path)
    return path


def missing_weights(tf: Any, folder: str) -> None:
    _model(tf).load_weights(os.path.join(folder, "none.h5"))


def missing_model(tf: Any, folder: str) -> None:
    tf.keras.models.load_model(os.path.join(folder, "none.h5"))


def other_number_of_layers(tf: Any, folder: str) -> None:
    _model(tf, layers=3).load_weights(_weights(tf, folder))


def other_shape_by_name(tf: Any, folder: str) -> None:
    _model(tf, units=5).load_weights(_weights(tf, folder), by_name=True)


def other_shape(tf: Any, folder: str) -> None:
    _model(tf, units=5).load_weights(_weights(tf, folder))


def other_shape_newer(tf: Any, folder: str) -> None:
    _model(tf, units=5).load_weights(_weights(tf, folder, "w.weights.h5"))


def other_number_of_weights(tf: Any, folder: str) -> None:
    k = tf.keras
    other = k.Sequential([k.layers.Dense(4, use_bias=False, input_shape=(3,), name="d0"),
                          k.layers.Dense(2, name="d1")])  # fmt: skip
    other.load_weights(_weights(tf, folder))


def skipping_without_names(tf: Any, folder: str) -> None:
    _model(tf).load_weights(_weights(tf, folder), skip_mismatch=True)


def unbuilt_subclass_loads(tf: Any, folder: str) -> None:
    _subclass(tf).load_weights(_weights(tf, folder))


def subclass_saves(tf: Any, folder: str) -> None:
    model = _subclass(tf)
    model(np.ones((1, 3), np.float32))
    model.save(os.path.join(folder, "s.h5"))


def weights_are_no_model(tf: Any, folder: str) -> None:
    tf.keras.models.load_model(_weights(tf, folder))


def unknown_layer(tf: Any, folder: str) -> None:
    class Unheard(tf.keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

    path = os.path.join(folder, "u.h5")
    tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,)), Unheard()]).save(path)
    tf.keras.models.load_model(path)


def unknown_save_format(tf: Any, folder: str) -> None:
    _model(tf).save(os.path.join(folder, "m"), save_format="zip")


def weights_in_the_format_of_checkpoints(tf: Any, folder: str) -> None:
    _model(tf).save_weights(os.path.join(folder, "w.h5"), save_format="tf")


CASES: dict[str, Callable[[Any, str], None]] = {
    f.__name__: f
    for f in (
        missing_weights, missing_model, other_number_of_layers, other_shape_by_name, other_shape,
        other_shape_newer, other_number_of_weights, skipping_without_names, unbuilt_subclass_loads,
        subclass_saves, weights_are_no_model, unknown_layer,
        unknown_save_format, weights_in_the_format_of_checkpoints,
    )
}  # fmt: skip


def outcome(tf: Any, name: str, folder: str) -> tuple[str, str]:
    """(class, text) of the error that a case raises, the folder's name taken out."""
    classes, text = classes_and_text(tf, name, folder)
    return classes[0], text


def classes_and_text(tf: Any, name: str, folder: str) -> tuple[list[str], str]:
    """The same with all classes that catch the error."""
    try:
        CASES[name](tf, folder)
    except Exception as error:  # noqa: BLE001 - the class is the result
        classes = [c.__name__ for c in type(error).__mro__ if issubclass(c, Exception)]
        return classes, str(error).replace(folder, "FOLDER")
    return [""], ""
