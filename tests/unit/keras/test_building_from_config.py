"""Layers of one's own are built when they are read from a configuration, as in Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
BUILT: list[str] = []


class Own(keras.layers.Layer):
    def __init__(self, units, tells=False, **kwargs):
        super().__init__(**kwargs)
        self.units, self.tells = units, tells

    def build(self, shape):
        BUILT.append(f"{self.name} {type(shape).__name__}")
        self.w = self.add_weight("w", [shape[-1], self.units], regularizer="l2")
        if self.tells:
            super().build(shape)

    def call(self, x):
        return x @ self.w

    def get_config(self):
        return {**super().get_config(), "units": self.units, "tells": self.tells}


@pytest.mark.parametrize(
    ("tells", "calls", "first"),
    [
        (False, ["p tuple", "q tuple", "p TensorShape", "q TensorShape"],
         [-0.503685, -0.995508, -0.754759]),
        (True, ["p tuple", "q tuple"], [0.337279, 0.217795, 0.290002]),
    ],
)  # fmt: skip
def test_first_values_are_drawn_as_often_as_keras_draws_them(tells, calls, first):
    inputs = keras.Input([3])
    made = keras.Model(inputs, Own(4, tells, name="q")(Own(2, tells, name="p")(inputs)))
    keras.utils.set_random_seed(4)
    BUILT.clear()
    again = keras.Model.from_config(made.get_config(), custom_objects={"Own": Own})
    assert calls == BUILT
    assert len(again.weights) == len(again.losses) == 2
    np.testing.assert_allclose(again.weights[0].numpy().ravel()[:3], first, atol=1e-5)
    assert [w.name for w in again.weights] == ["p/w:0", "q/w:0"]


def test_a_file_gives_its_own_values(tmp_path):
    made = keras.Sequential([keras.Input([3]), Own(2, name="p")])
    made.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Own": Own})
    np.testing.assert_array_equal(again.get_weights()[0], made.get_weights()[0])
    assert len(again.weights) == 1
