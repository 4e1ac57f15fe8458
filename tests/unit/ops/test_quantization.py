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


def test_gradients_of_all_three_are_those_of_a_range_that_is_learned():
    x = tf.constant(X.reshape(500, 4))
    low, high = tf.constant([-1.0, 0.0, -0.3, 1.0]), tf.constant([3.0, 0.0, 0.7, 2.0])
    weights = tf.constant(np.random.RandomState(1).randn(500, 4).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch((x, low, high))
        y = quantization.fake_quant_with_min_max_vars_per_channel(x, low, high, num_bits=5)
    found = tape.gradient(y, (x, low, high), weights)
    for i in range(4):
        given = x[:, i], low[i], high[i]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(given)
            y = quantization.fake_quant_with_min_max_vars(*given, num_bits=5)
            if low[i] < high[i]:
                ends = float(low[i]), float(high[i])
                z = quantization.fake_quant_with_min_max_args(given[0], *ends, num_bits=5)
        wanted = tape.gradient(y, given, weights[:, i])
        np.testing.assert_array_equal(found[0][:, i], wanted[0])
        np.testing.assert_allclose([found[1][i], found[2][i]], wanted[1:], rtol=1e-5)
        if low[i] < high[i]:
            np.testing.assert_array_equal(tape.gradient(z, given[0], weights[:, i]), wanted[0])


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


VALUES = np.float32([-1.3, -1.0, -0.5, -0.1, 0.0, 0.05, 0.3, 0.77, 1.0, 1.6])


@pytest.mark.parametrize(
    ("kind", "mode", "options", "integers", "ends"),
    [
        (tf.qint8, "MIN_COMBINED", {}, [-128, -128, -77, -36, -26, -21, 5, 53, 76, 127],
         (-1, 1.5)),
        (tf.quint8, "MIN_FIRST", {}, [0, 0, 51, 92, 102, 107, 133, 181, 204, 255], (-1, 1.5)),
        (tf.qint16, "MIN_COMBINED", {},
         [-32768, -32768, -19661, -9175, -6554, -5243, 1310, 13631, 19660, 32767], (-1, 1.5)),
        (tf.qint8, "SCALED", {}, [-110, -85, -42, -8, 0, 4, 25, 65, 85, 127], (-1.511811, 1.5)),
        (tf.quint8, "SCALED", {"round_mode": "HALF_TO_EVEN", "narrow_range": True},
         [1, 1, 1, 1, 1, 8, 51, 131, 170, 255], (0.00588235, 1.5)),
    ],
)  # fmt: skip
def test_integers_that_stand_for_floats(kind, mode, options, integers, ends):
    made = quantization.quantize(VALUES, -1.0, 1.5, kind, mode, **options)
    assert made.output.dtype is kind and made.output.dtype.is_quantized
    assert made.output.numpy().tolist() == integers
    np.testing.assert_allclose([made.output_min, made.output_max], ends, rtol=1e-5)
    narrow = options.get("narrow_range", False)
    back = quantization.dequantize(*made, mode=mode, narrow_range=narrow)
    inside = np.clip(VALUES, ends[0], ends[1])
    step = (ends[1] - ends[0]) / (np.ptp(integers) or 1)
    assert np.abs(back - inside).max() <= step * 0.51 + 1e-6


def test_a_range_for_each_column():
    x = VALUES.reshape(5, 2)
    made = quantization.quantize(
        x, [-1.0, 0.0], [1.0, 2.0], tf.qint8, "SCALED", "HALF_TO_EVEN", axis=1
    )
    assert made.output.numpy().tolist() == [[-128, -64], [-64, -6], [0, 3], [38, 49], [127, 102]]
    np.testing.assert_allclose(made.output_min, [-1.00787401, -2.01574802], rtol=1e-6)
    back = quantization.dequantize(*made, mode="SCALED", axis=1)
    np.testing.assert_allclose(back[4], [1, 1.60629916], rtol=1e-6)


def test_ranges_are_made_to_hold_zero():
    for given, ends, last in (((0.0, 0.0), (0, 0.01), 255), ((1.0, 2.0), (0, 2), 204)):
        made = quantization.quantize(VALUES, *given, tf.quint8)
        np.testing.assert_allclose([made.output_min, made.output_max], ends, atol=1e-7)
        assert int(made.output.numpy()[-1]) == last


def test_quantized_types():
    made = quantization.quantize(VALUES[:3], -1.0, 1.0, tf.quint8).output
    assert repr(made) == (
        "<tf.Tensor: shape=(3,), dtype=quint8, numpy=array([ 0,  0, 64], dtype=uint8)>"
    )
    assert tf.cast(made, tf.float32).numpy().tolist() == [0, 0, 64]
    assert tf.cast([1, 2], tf.qint8).numpy().tolist() == [1, 2]
    assert tf.as_dtype("qint32") is tf.qint32 and tf.as_dtype(11) is tf.qint8
    assert tf.as_dtype(tf.quint16.as_numpy_dtype) is tf.quint16 and tf.qint16.size == 2
    assert len(tf.dtypes.QUANTIZED_DTYPES) == 5 and not tf.qint8.is_integer
    with pytest.raises(tf.errors.InvalidArgumentError, match="quint8 is not in the list"):
        made + made
    other = quantization.quantize(VALUES[3:6], -2.0, 1.0, tf.quint8).output
    joined = quantization.quantized_concat(0, [made, other], [-1.0, -2.0], [1.0, 1.0])
    assert joined.output.numpy().tolist() == [85, 85, 128, 162, 170, 174]

    @tf.function
    def there_and_back(x):
        return quantization.dequantize(*quantization.quantize(x, -1.0, 1.0, tf.qint8))

    np.testing.assert_allclose(there_and_back(VALUES)[3], -0.09803915, rtol=1e-5)


def test_quantized_types_that_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="got int8"):
        quantization.quantize(VALUES, -1.0, 1.0, tf.int8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="only supported for mode 'SCALED'"):
        quantization.quantize(VALUES, -1.0, 1.0, tf.qint8, round_mode="HALF_TO_EVEN")
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be quantized"):
        quantization.dequantize([1, 2], -1.0, 1.0)


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
