"""Moving averages and optimizers of a user's own in Keras's files; losses are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import keras
from shardtape.keras import layers

X = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
Y = X[:, :2] * 2


class Heavy(keras.optimizers.Optimizer):
    """Momentum in ops of its own."""

    def __init__(self, learning_rate=0.1, name="Heavy", **kwargs):
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)

    def build(self, var_list):
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.m = [self.add_variable_from_reference(v, "m") for v in var_list]
        self._built = True

    def update_step(self, gradient, variable):
        m = self.m[self._index_dict[self._var_key(variable)]]
        m.assign(0.9 * m + gradient)
        variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * m)

    def get_config(self):
        rate = self._serialize_hyperparameter(self._learning_rate)
        return {**super().get_config(), "learning_rate": rate}


def trained(optimizer):
    model = keras.Sequential([layers.Dense(2, input_shape=(3,), kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    model.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "folder"])
@pytest.mark.parametrize(
    "optimizer, losses, state",
    [
        (
            lambda: keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9),
            [1.48849356174469, 0.9991353154182434],
            ["average/dense/kernel", "average/dense/bias", "m/dense/kernel", "v/dense/kernel",
             "m/dense/bias", "v/dense/bias"],
        ),
        (
            lambda: keras.optimizers.SGD(
                0.05, momentum=0.9, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3
            ),
            [0.5837971568107605, 0.29223233461380005],
            ["average/dense/kernel", "average/dense/bias", "m/dense/kernel", "m/dense/bias"],
        ),
        (
            lambda: Heavy(0.02),
            [0.5270686149597168, 0.22045978903770447],
            ["m/dense/kernel", "m/dense/bias"],
        ),
        (
            lambda: Heavy(0.02, use_ema=True, ema_momentum=0.9),
            [1.1629178524017334, 0.3993740677833557],
            ["average/dense/kernel", "average/dense/bias", "m/dense/kernel", "m/dense/bias"],
        ),
    ],
)  # fmt: skip
def test_training_goes_on_where_it_was_saved(tmp_path, name, optimizer, losses, state):
    keras.backend.clear_session()
    model = trained(optimizer())
    model.save(tmp_path / name)
    own = model.optimizer.name
    if name == "a.h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / name) as file:
            names = [str(n) for n in file["optimizer_weights"].attrs["weight_names"]]
        assert names == ["iteration:0", *[f"{own}/{s}:0" for s in state]]
    loaded = keras.models.load_model(tmp_path / name, custom_objects={"Heavy": Heavy})
    assert int(loaded.optimizer.iterations) == 8
    history = loaded.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-5)
