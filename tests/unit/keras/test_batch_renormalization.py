"""`BatchNormalization(renorm=True)`; numbers of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

BatchNormalization = tf.keras.layers.BatchNormalization
_numbers = np.random.RandomState(0)
BATCHES = [_numbers.randn(4, 3).astype("float32") * (i + 1) + i for i in range(4)]

CASES = [
    (
        {},
        [7.66341, 7.55476, 1.38943, 1.69091],
        [344.175598, 179.304977],
        [
            [0.07246, 0.08238, 0.03833], [1.118, 1.1508, 1.09691], [1.05783, 1.07322, 1.04781],
            [0.07246, 0.08238, 0.03833], [1.05783, 1.07322, 1.04781],
        ],
        [7.41964, 7.19998, 1.34792, 1.62439],
    ),
    (
        {"renorm_clipping": {"rmax": 1.2, "rmin": 0.8, "dmax": 0.1}},
        [1.86794, 0.95359, 0.09623, 0.10206],
        [11.59963, 23.19764],
        [
            [0.07246, 0.08238, 0.03833], [1.118, 1.1508, 1.09691], [1.05783, 1.07322, 1.04781],
            [0.07246, 0.08238, 0.03833], [1.05783, 1.07322, 1.04781],
        ],
        [7.41964, 7.19998, 1.34792, 1.62439],
    ),
    (
        {"renorm_momentum": 0.5, "momentum": 0.7},
        [2.38667, 2.72671, 0.11968, 0.00744],
        [55.190731, 37.002911],
        [
            [1.43207, 1.91732, 0.93872], [6.61308, 8.59187, 4.54145], [2.57179, 2.93136, 2.1313],
            [1.77763, 2.70823, 1.33229], [3.37125, 3.92704, 2.59178],
        ],
        [2.52319, 2.01006, 0.24021, 0.13948],
    ),
]  # fmt: skip


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
@pytest.mark.parametrize(("options", "last", "of_gamma", "averages", "inferred"), CASES)
def test_four_batches(options, last, of_gamma, averages, inferred, wrap):
    layer = BatchNormalization(renorm=True, **options)
    layer.build((None, 3))

    @wrap
    def step(x):
        with tf.GradientTape() as tape:
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * y * [0.0, 1.0, 2.0])
        return y, tape.gradient(loss, layer.gamma)

    for batch in BATCHES:
        y, gradient = step(tf.constant(batch))
    np.testing.assert_allclose(y.numpy().ravel()[:4], last, atol=2e-5)
    np.testing.assert_allclose(gradient[1:], of_gamma, rtol=1e-5)
    names = [w.name.rpartition("/")[2] for w in layer.weights]
    assert names == [
        "gamma:0", "beta:0", "moving_mean:0", "moving_variance:0", "moving_stddev:0",
        "renorm_mean:0", "renorm_stddev:0",
    ]  # fmt: skip
    assert len(layer.trainable_weights) == 2
    for variable, wanted in zip(layer.weights[2:], averages):
        np.testing.assert_allclose(variable, wanted, atol=1e-5)
    got = layer(tf.constant(BATCHES[-1]), training=False)
    np.testing.assert_allclose(got.numpy().ravel()[:4], inferred, atol=2e-5)


def test_training_as_a_tensor():
    plain, told = BatchNormalization(renorm=True), BatchNormalization(renorm=True)
    x = tf.constant(BATCHES[1])
    for _ in range(2):
        wanted = plain(x, training=True)
        got = told(x, training=tf.constant(True))
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    before = told.get_weights()
    np.testing.assert_allclose(
        told(x, training=tf.constant(False)), plain(x, training=False), rtol=1e-6
    )
    for a, b in zip(before, told.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_model_is_trained():
    kernel = tf.keras.initializers.Constant(np.arange(9.0).reshape(3, 3) / 5)
    model = tf.keras.Sequential([
        tf.keras.layers.Dense(3, kernel_initializer=kernel, input_shape=(3,)),
        BatchNormalization(renorm=True),
        tf.keras.layers.Dense(1, kernel_initializer="ones"),
    ])  # fmt: skip
    model.compile("sgd", "mse")
    x = np.concatenate(BATCHES)
    history = model.fit(x, x[:, :1], batch_size=4, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [38.23396, 12.26731, 11.73477], rtol=2e-5)
    np.testing.assert_allclose(model.layers[1].moving_stddev, [1.26132, 1.3431, 1.42987], rtol=1e-5)


def test_channels_first():
    x = _images()
    layer = BatchNormalization(renorm=True, axis=1)
    for _ in range(2):
        y = layer(x, training=True)
    wanted = [-3.78822, 0.35996, -1.66128, 2.13522]
    np.testing.assert_allclose(y.numpy().ravel()[:4], wanted, atol=2e-5)
    np.testing.assert_allclose(layer.moving_variance, [1.05276, 1.0367, 1.05002], atol=1e-5)


def _images():
    numbers = np.random.RandomState(0)
    numbers.randn(48)
    return tf.constant(numbers.randn(2, 3, 3, 2).astype("float32") * 3 + 1)


def test_configuration_and_wrong_options():
    layer = BatchNormalization(renorm=True, renorm_clipping={"rmax": 1.5})
    config = layer.get_config()
    assert config["renorm"] is True
    assert (config["renorm_clipping"], config["renorm_momentum"]) == ({"rmax": 1.5}, 0.99)
    assert BatchNormalization.from_config(config).get_config() == config
    assert "renorm" not in BatchNormalization(renorm_momentum=0.5).get_config()
    with pytest.raises(ValueError, match="Received invalid keys for `renorm_clipping`"):
        BatchNormalization(renorm=True, renorm_clipping={"foo": 1})
    with pytest.raises(ValueError, match="Passing both `fused=True` and `renorm=True`"):
        BatchNormalization(renorm=True, fused=True)
