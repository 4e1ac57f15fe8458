"""Arguments by the names and in the places that TensorFlow 2.15 gives them."""

import numpy as np
import pytest

import shardtape as tf

K = tf.keras


def _loss(y, p):
    return p


class Kept(K.constraints.Constraint):
    def __call__(self, w):
        return w


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: tf.is_tensor(x=tf.constant(1)), True),
        (lambda: tf.as_dtype(type_value="int32"), tf.int32),
        (lambda: tf.float32.most_specific_common_supertype(types=[tf.float32]), tf.float32),
        (lambda: K.backend.expand_dims([1.0, 2.0]).shape, [2, 1]),
        (lambda: K.backend.tile([1.0, 2.0], n=2).numpy().tolist(), [1, 2, 1, 2]),
        (lambda: K.backend.stack(x=[[1.0], [2.0]], axis=1).numpy().tolist(), [[1, 2]]),
        (lambda: K.backend.gather(reference=[1.0, 2.0], indices=[1]).numpy().tolist(), [2]),
        (lambda: K.backend.reshape(x=[1.0], shape=[1, 1]).shape, [1, 1]),
        (lambda: [float(t) for t in K.backend.stop_gradient([tf.constant(1.0), tf.constant(2.0)])],
         [1, 2]),
        (lambda: K.losses.deserialize(name="_loss", custom_objects={"_loss": _loss}), _loss),
        (lambda: K.metrics.deserialize(config="_loss", custom_objects={"_loss": _loss}), _loss),
        (lambda: K.activations.deserialize("_loss", custom_objects={"_loss": _loss}), _loss),
        (lambda: type(K.constraints.deserialize({"class_name": "Kept", "config": {}},
                                                custom_objects={"Kept": Kept})), Kept),
        (lambda: K.losses.serialize(K.losses.mse, use_legacy_format=True), "mean_squared_error"),
        (lambda: K.losses.serialize(K.losses.Huber(2.0), use_legacy_format=True)["config"],
         {"reduction": "auto", "name": "huber_loss", "delta": 2.0, "fn": "huber"}),
        (lambda: K.constraints.serialize(K.constraints.MaxNorm(2), use_legacy_format=True),
         {"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}}),
        (lambda: K.initializers.serialize(K.initializers.Ones(), use_legacy_format=True),
         {"class_name": "Ones", "config": {}}),
        (lambda: sorted(K.layers.serialize(K.layers.Flatten(), use_legacy_format=True)),
         ["class_name", "config"]),
        (lambda: sorted(K.optimizers.serialize(K.optimizers.SGD(), use_legacy_format=True)),
         ["class_name", "config"]),
        (lambda: K.optimizers.schedules.serialize(
            learning_rate_schedule=K.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5),
            use_legacy_format=True)["class_name"], "ExponentialDecay"),
        (lambda: K.layers.RandomFlip("horizontal", 3).seed, 3),
        (lambda: K.layers.RandomContrast(0.2, 3).seed, 3),
        (lambda: K.layers.RandomBrightness(0.2, (0, 1), 3).seed, 3),
        (lambda: K.layers.RandomCrop(2, 2, 3).seed, 3),
        (lambda: K.layers.SpatialDropout2D(0.2, "channels_first").data_format, "channels_first"),
    ],
)  # fmt: skip
def test_arguments(call, value):
    assert call() == value


def test_elu_of_another_slope():
    # -alpha * (1 - 1 / e)
    np.testing.assert_allclose(K.backend.elu([-1.0, 1.0], alpha=2.0), [-1.26424112, 1], rtol=1e-6)


def test_classes_that_do_not_count():
    found = K.backend.sparse_categorical_crossentropy(
        tf.constant([1, 0]), tf.constant([[0.2, 0.8], [0.3, 0.7]]), ignore_class=0
    )
    np.testing.assert_allclose(found, [0.22314355, 0], rtol=1e-6)


def test_channels_first_drops_whole_channels():
    tf.random.set_seed(1)
    x = np.ones((4, 6, 3, 3), np.float32)
    made = K.layers.SpatialDropout2D(0.5, "channels_first")(x, training=True).numpy()
    flat = made.reshape(24, 9)
    assert ((flat == 0).all(1) | (flat == 2).all(1)).all()
    assert 0 < (flat == 0).all(1).sum() < 24
    with pytest.raises(ValueError, match="data_format"):
        K.layers.SpatialDropout2D(0.5, "first")
