"""`tf.quantization`: ranges, errors and gradients; the numbers are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

X = np.random.RandomState(0).randn(2000).astype("float32") * 4
quantization = tf.quantization


@pytest.mark.parametrize(
    ("low", "high", "options", "total", "slopes"),
    [
        (-1.0, 3.0, {}, 1139.6235393732786, [-16.197393, -29.528133, -24.445637]),
        (-1.0, 3.0, {"num_bits": 3, "narrow_range": True}, 723.3333479166031,
         [-15.523605, -29.418177, -25.229385]),
        (-0.3, 0.7, {}, 338.36863331962377, [-17.498101, -22.363329, -30.309738]),
        (-2.0, -1.0, {}, -907.4784367014654, [7.530461, -29.528133, -48.173489]),
        (0.0, 0.0, {}, 0.0, None),
    ],
)  # fmt: skip
def test_ranges_that_are_learned(low, high, options, total, slopes):
    rng = np.random.RandomState(0)
    x = (rng.randn(2000) * 4).astype("float32")
    weights = rng.randn(2000).astype("float32")
    given = [tf.constant(x), tf.constant(low), tf.constant(high)]
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = quantization.fake_quant_with_min_max_vars(*given, **options)
        loss = tf.reduce_sum(y * weights)
    assert np.sum(y.numpy().astype("float64")) == pytest.approx(total, rel=1e-12)
    found = [float(tf.reduce_sum(g)) for g in tape.gradient(loss, given)]
    if slopes is None:  # a range that nothing was seen of lets gradients through
        slopes = [float(weights.sum()), 0, 0]
    np.testing.assert_allclose(found, slopes, rtol=1e-4)


def test_a_range_for_each_channel():
    low, high = np.float32([-1, 0, -0.3, 1]), np.float32([3, 0, 0.7, 2])
    x = X.reshape(500, 4)
    y = quantization.fake_quant_with_min_max_vars_per_channel(x, low, high)
    for i in (0, 1, 2, 3):
        alone = quantization.fake_quant_with_min_max_vars(x[:, i], low[i], high[i])
        np.testing.assert_array_equal(y[:, i], alone)
    assert np.sum(y.numpy().astype("float64")) == pytest.approx(601.8588288230821, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "values", "inside"),
    [
        ({"range_given": True}, [-1.0, -1.0, -0.1015625, 0.7734375, 0.9921875], [0, 1, 1, 1, 0]),
        ({"range_given": True, "signed_input": False}, [0, 0, 0, 0.768627465, 0.8],
         [0, 1, 1, 1, 0]),
        ({"num_bits": 4}, [-1.37142861, -0.914285719, 0, 0.685714304, 1.6], [0, 1, 1, 1, 0]),
        ({"range_given": True, "num_bits": 3, "round_mode": "HALF_UP"},
         [-1.06666672, -1.06666672, 0, 0.800000072, 0.800000072], [0, 1, 1, 1, 0]),
    ],
)  # fmt: skip
def test_rounded_floats(options, values, inside):
    x = tf.constant([-1.3, -1.0, -0.1, 0.77, 1.6])
    for function, slopes in ((quantization.quantize_and_dequantize_v2, inside),
                             (quantization.quantize_and_dequantize, [1] * 5)):  # fmt: skip
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, -1.0, 0.8, **options)
        np.testing.assert_allclose(y, values, rtol=1e-7)
        np.testing.assert_array_equal(tape.gradient(y, x), slopes)


@pytest.mark.parametrize(
    ("name", "arguments", "options", "text"),
    [
        ("fake_quant_with_min_max_args", (X, 3, 1), {}, "min has to be smaller than max"),
        ("fake_quant_with_min_max_args", (X,), {"num_bits": 1}, "num_bits must be between"),
        ("fake_quant_with_min_max_vars_per_channel", (X, [1.0], [2.0]), {}, "each channel"),
        ("quantize_and_dequantize_v2", (X, 1.0, 0.0), {"range_given": True}, "Invalid range"),
        ("quantize_and_dequantize_v2", (X, 0.0, 1.0), {"num_bits": 99}, "num_bits is out of range"),
        ("quantize_and_dequantize_v2", (X, 0.0, 1.0), {"round_mode": "UP"}, "Round mode"),
    ],
)  # fmt: skip
def test_what_is_refused(name, arguments, options, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        getattr(quantization, name)(*arguments, **options)


def test_in_a_layer_that_trains():
    class Quantized(tf.keras.layers.Layer):
        def build(self, shape):
            self.low = self.add_weight("low", (), initializer=tf.keras.initializers.Constant(-1.0))
            self.high = self.add_weight("high", (), initializer=tf.keras.initializers.Constant(1.0))

        def call(self, x):
            return quantization.fake_quant_with_min_max_vars(x, self.low, self.high)

    model = tf.keras.Sequential([Quantized()])
    model.compile(tf.keras.optimizers.SGD(0.1), "mse")
    x = np.float32([[2.0, 3.0], [0.1, -0.2]])
    model.fit(x, x, epochs=3, verbose=0)
    assert model.layers[0].high.numpy() > 1  # values beyond it pull it up
