"""Optimizers of a user's own, and the state as Variables; numbers are those of Keras 2.15."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras


class Heavy(K.optimizers.Optimizer):
    """Momentum, as guides write an optimizer of their own."""

    def __init__(self, learning_rate: Any = 0.1, momentum: float = 0.5, name: str = "Heavy",
                 **kwargs: Any) -> None:  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum = momentum

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.moments = [self.add_variable_from_reference(v, "m") for v in var_list]
        self._built = True

    def update_step(self, gradient: Any, variable: Any) -> None:
        rate = tf.cast(self.learning_rate, variable.dtype)
        m = self.moments[self._index_dict[self._var_key(variable)]]
        m.assign(self.momentum * m + gradient)
        variable.assign_add(-rate * m)

    def get_config(self) -> Any:
        rate = self._serialize_hyperparameter(self._learning_rate)
        return {**super().get_config(), "learning_rate": rate, "momentum": self.momentum}


def _pair() -> Any:
    return tf.Variable([1.0, 2.0], name="v"), tf.Variable([3.0], name="w")


def _steps(optimizer: Any, v: Any, w: Any, count: int = 3) -> None:
    for _ in range(count):
        optimizer.apply_gradients([(tf.constant([1.0, 2.0]), v), (tf.constant([-1.0]), w)])


def test_update_step_with_state_of_its_own() -> None:
    (v, w), optimizer = _pair(), Heavy()
    _steps(optimizer, v, w)
    np.testing.assert_allclose(v, [0.575, 1.15], rtol=1e-6)
    np.testing.assert_allclose(w, [3.425], rtol=1e-6)
    assert [x.name for x in optimizer.variables] == ["iteration:0", "Heavy/m/v:0", "Heavy/m/w:0"]
    assert int(optimizer.iterations) == 3 and float(optimizer.learning_rate) == np.float32(0.1)
    again = Heavy.from_config(optimizer.get_config())
    assert again.momentum == 0.5 and float(again.learning_rate) == np.float32(0.1)


def test_decay_and_clipping_come_before_the_step() -> None:
    (v, w), optimizer = _pair(), Heavy(weight_decay=0.1, clipnorm=1.0)
    _steps(optimizer, v, w)
    np.testing.assert_allclose(v, [0.781794, 1.563588], rtol=1e-6)
    np.testing.assert_allclose(w, [3.332407], rtol=1e-6)


class Squares(K.optimizers.Optimizer):
    def update_step(self, gradient: Any, variable: Any) -> None:
        values = gradient.values * gradient.values
        variable.scatter_sub(tf.IndexedSlices(values, gradient.indices))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [[0.0, 1.0], [-13.0, -32.0], [5.0, 6.0]]),
        ({"clipnorm": 1.0}, [[0.96875, 1.96875], [2.5, 2.875], [5.0, 6.0]]),
        ({"clipvalue": 0.5}, [[0.75, 1.75], [2.0, 3.0], [5.0, 6.0]]),
        ({"loss_scale_factor": 2.0}, [[0.75, 1.75], [-1.0, -5.0], [5.0, 6.0]]),  # by hand
    ],
)
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function])
def test_sparse_gradients_come_with_each_row_once(wrap: Any, options: Any, wanted: Any) -> None:
    optimizer, v = Squares(name="s", **options), tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    optimizer.build([v])

    def update() -> None:
        rows = tf.constant([[1.0, 2.0], [3.0, 4.0], [1.0, 1.0]])
        optimizer.apply_gradients([(tf.IndexedSlices(rows, tf.constant([1, 1, 0]), [3, 2]), v)])

    wrap(update)()
    np.testing.assert_allclose(v, wanted, rtol=1e-6)


def test_a_schedule_goes_on_inside_a_function() -> None:
    (v, w), optimizer = _pair(), Heavy(K.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5))
    optimizer.build([v, w])
    step = tf.function(lambda: _steps(optimizer, v, w, 1))
    for _ in range(3):
        step()
    np.testing.assert_allclose(v, [0.78125, 1.5625], rtol=1e-6)
    np.testing.assert_allclose(w, [3.21875], rtol=1e-6)


def _fit(optimizer: Any) -> Any:
    model = K.Sequential([K.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    x = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    losses = model.fit(x, x.sum(1) * 2, epochs=3, verbose=0, shuffle=False).history["loss"]
    return losses, model


def test_fit_runs_it_and_ends_on_moving_averages() -> None:
    losses, _ = _fit(Heavy(0.01))
    np.testing.assert_allclose(losses, [69.0, 5.763598442077637, 5.149969577789307], rtol=1e-6)
    averaged = {"use_ema": True, "ema_momentum": 0.5}
    for made in (Heavy(0.01, **averaged), K.optimizers.SGD(0.01, 0.5, **averaged)):
        losses, model = _fit(made)
        kernel, bias = model.get_weights()
        np.testing.assert_allclose(kernel.ravel(), [1.948284, 2.159852], rtol=1e-6)
        np.testing.assert_allclose(bias, [0.21156798], rtol=1e-5)


def test_moving_averages_are_written_every_so_often() -> None:
    def run(steps: Any, **options: Any) -> Any:
        (v, w), optimizer = _pair(), Heavy(0.1, 0.0, **options)
        optimizer.build([v, w])
        for _ in range(2):
            steps(optimizer, v, w)
        return v.numpy()

    def traced(optimizer: Any, v: Any, w: Any) -> None:
        tf.function(lambda: _steps(optimizer, v, w, 1))()

    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    # v: 1 -> 0.9 -> 0.8; the average 1 -> 0.95 -> 0.875, which the second step writes
    for steps in (lambda o, v, w: _steps(o, v, w, 1), traced):
        np.testing.assert_allclose(run(steps, **options), [0.875, 1.75], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("SGD", [0.94851, 2.0103]), ("Adam", [0.89701, 2.10299]), ("AdamW", [0.8966, 2.10216]),
        ("Adagrad", [0.94344, 2.02862]), ("Adadelta", [0.99985, 2.00015]),
        ("Adamax", [0.89701, 2.10299]), ("RMSprop", [0.79932, 2.20068]),
        ("Ftrl", [0.36937, 0.25087]), ("Lion", [0.89701, 2.10299]), ("Nadam", [0.92598, 2.07402]),
    ],
)  # fmt: skip
def test_every_optimizer_keeps_moving_averages(name: str, wanted: Any) -> None:
    v = tf.Variable([1.0, 2.0])
    optimizer = getattr(K.optimizers, name)(0.1, use_ema=True, ema_overwrite_frequency=2)
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant([0.5, -0.1]), v)])
    np.testing.assert_allclose(v, wanted, atol=6e-6)


def test_checkpoints_hold_the_state(tmp_path: Any) -> None:
    (v, w), optimizer = _pair(), Heavy()
    _steps(optimizer, v, w, 1)
    path = tf.train.Checkpoint(v=v, w=w, optimizer=optimizer).save(str(tmp_path / "c"))
    _steps(optimizer, v, w, 2)
    (v2, w2), other = _pair(), Heavy()
    other.build([v2, w2])
    tf.train.Checkpoint(v=v2, w=w2, optimizer=other).restore(path)
    _steps(other, v2, w2, 2)
    np.testing.assert_array_equal(v2, v)
    assert int(other.iterations) == 3


def test_shards_and_loss_scaling_refuse_it_by_name() -> None:
    with pytest.raises(tf.errors.UnimplementedError, match="Heavy defines `update_step`"):
        Heavy().rule_config()
    with pytest.raises(tf.errors.UnimplementedError, match="Heavy defines `update_step`"):
        K.mixed_precision.LossScaleOptimizer(Heavy())

    class Nothing(K.optimizers.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing must define `update_step"):
        v = tf.Variable([1.0])
        Nothing("Nothing").apply_gradients([(tf.constant([1.0]), v)])


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda o: o.SGD(), ["SGD/m/v:0", "SGD/m/w:0"]),
        (lambda o: o.SGD(use_ema=True),
         ["SGD/average/v:0", "SGD/average/w:0", "SGD/m/v:0", "SGD/m/w:0"]),
        (lambda o: o.Adam(amsgrad=True),
         ["Adam/m/v:0", "Adam/v/v:0", "Adam/m/w:0", "Adam/v/w:0", "Adam/vhat/v:0",
          "Adam/vhat/w:0"]),
        (lambda o: o.RMSprop(momentum=0.9, centered=True),
         [f"RMSprop/{slot}/{x}:0" for slot in ("velocity", "momentum", "average_gradient")
          for x in "vw"]),
        (lambda o: o.Adafactor(), ["Adafactor/v/v:0", "Adafactor/v/w:0"]),
        (lambda o: o.legacy.SGD(), []),
        (lambda o: o.Ftrl(), [f"Ftrl/{slot}/{x}:0" for x in "vw"
                              for slot in ("accumulator", "linear")]),
    ],
)  # fmt: skip
def test_variables_are_listed_as_keras_lists_them(make: Any, names: list[str]) -> None:
    (v, w), optimizer = _pair(), make(K.optimizers)
    _steps(optimizer, v, w, 1)
    variables = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    assert [x.name for x in variables][1:] == names


def test_the_state_is_set_from_arrays() -> None:
    optimizer = K.optimizers.Adam()
    with pytest.raises(ValueError, match="has not yet been built"):
        optimizer.set_weights([1])
    v, _ = _pair()
    optimizer.build([v])
    optimizer.set_weights([np.array(3), np.ones(2), np.full(2, 2.0)])
    assert int(optimizer.iterations) == 3
    np.testing.assert_array_equal(optimizer.state()["slots"]["velocity"][0], [2.0, 2.0])
    with pytest.raises(ValueError, match="of length 1, but the optimizer was expecting 3"):
        optimizer.set_weights([1])
    with pytest.raises(ValueError, match="not compatible with provided weight shape"):
        optimizer.set_weights([1, np.ones(2), np.ones(3)])
    added = optimizer.add_variable([2], name="bar")
    assert added.name == "bar:0" and added.numpy().tolist() == [0.0, 0.0]
    assert optimizer.variables[-1] is added


@pytest.mark.parametrize(
    ("make", "slots"),
    [
        (lambda o: o.Adam(amsgrad=True), ["m", "v", "vhat"]),
        (lambda o: o.RMSprop(momentum=0.9, centered=True), ["rms", "momentum", "mg"]),
        (lambda o: o.Adadelta(), ["accum_grad", "accum_var"]),
        (lambda o: o.Adamax(), ["m", "v"]),
        (lambda o: o.SGD(momentum=0.9), ["momentum"]),
        (lambda o: o.SGD(), []),
    ],
)
def test_slots_of_the_older_optimizers(make: Any, slots: list[str]) -> None:
    (v, w), optimizer = _pair(), make(K.optimizers.legacy)
    assert optimizer.get_slot_names() == slots
    optimizer.apply_gradients([(tf.ones(2), v), (tf.ones(1), w)])
    weights = optimizer.get_weights()
    assert [np.shape(x) for x in weights] == [(), *[(2,), (1,)] * len(slots)]
    optimizer.set_weights([np.ones_like(x) for x in weights])
    for slot in slots:
        np.testing.assert_array_equal(optimizer.get_slot(v, slot), [1.0, 1.0])


def test_the_first_moments_of_the_older_adam() -> None:
    (v, _), optimizer = _pair(), K.optimizers.legacy.Adam()
    optimizer.apply_gradients([(tf.ones(2), v)])
    expected = [1, [0.10000002, 0.10000002], [0.00099999, 0.00099999]]
    for found, wanted in zip(optimizer.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5)
    with pytest.raises(KeyError, match="no slot 'x'"):
        optimizer.get_slot(v, "x")


def test_settings_that_are_variables_keep_their_kinds() -> None:
    shown = K.optimizers.SGD()._serialize_hyperparameter
    assert shown(tf.Variable(0.1)) == 0.1
    count = shown(tf.Variable(5))
    assert (count, type(count)) == (5, int)
    assert shown(tf.Variable([1.0, 2.0])) == [1, 2]
