"""tf.RegisterGradient, tf.no_gradient and Graph.gradient_override_map."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import dtypes as dt
from shardtape import gradient_registry
from shardtape.graph.plan import Plan
from shardtape.ops.registry import REGISTRY, op, same_as


@pytest.fixture
def halved():
    """An op without a gradient, and a registry that forgets what the test registers."""
    ops, registered = dict(REGISTRY), dict(gradient_registry._registered)

    @op("HalvedForTest", shape=same_as(0), dtypes=dt.FLOATING)
    def kernel(xp, x, *, times=1):
        return x * (0.5**times)

    yield kernel
    gradient_registry._registered.clear()
    gradient_registry._registered.update(registered)
    REGISTRY.clear()
    REGISTRY.update(ops)


def test_an_op_without_a_gradient_raises_until_one_is_registered(halved):
    x = tf.Variable([2.0, 4.0])

    def gradient():
        with tf.GradientTape() as tape:
            y = halved(x, times=2) * 3.0
        return tape.gradient(y, x)

    with pytest.raises(LookupError, match="gradient registry has no entry for: HalvedForTest"):
        gradient()
    seen = []

    @tf.RegisterGradient("HalvedForTest")
    def of_halved(op, grad):
        seen.append((op.type, op.get_attr("times"), op.get_attr("T"), op.inputs[0].numpy().tolist(),
                     op.outputs[0].numpy().tolist()))  # fmt: skip
        return grad * 0.25

    assert gradient().numpy().tolist() == [0.75, 0.75]
    assert seen == [("HalvedForTest", 2, tf.float32, [2.0, 4.0], [0.5, 1.0])]


def test_a_registered_gradient_in_a_function(halved):
    @tf.RegisterGradient("HalvedForTest")
    def of_halved(op, grad):
        assert op.inputs[0].shape == [2]
        return [grad * 100.0]

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = halved(x)
        return tape.gradient(y, x)

    assert slope(tf.constant([1.0, 2.0])).numpy().tolist() == [100.0, 100.0]
    x = tf.Variable([1.0, 2.0])
    function = tf.function(lambda: halved(x) * x)
    with tf.GradientTape() as tape:
        y = function()
    assert tape.gradient(y, x).numpy().tolist() == [100.5, 201.0]


def test_image_contrast_can_be_given_a_gradient():
    contrast = REGISTRY["AdjustContrastv2"]
    image, delta = tf.Variable([[[0.5, 0.0, 0.0]]]), tf.Variable(0.1)
    try:

        @tf.RegisterGradient("AdjustContrastv2")
        def of_contrast(op, grad):
            images, factor = op.inputs
            mean = tf.reduce_mean(images, axis=[-3, -2], keepdims=True)
            toward_mean = tf.reduce_mean(grad, axis=[-3, -2], keepdims=True)
            return (
                factor * grad + (1.0 - factor) * toward_mean,
                tf.reduce_sum(grad * (images - mean)),
            )

        with tf.GradientTape() as tape:
            adjusted = tf.image.adjust_contrast(image, delta)
        by_image, by_delta = tape.gradient(adjusted, [image, delta])
        np.testing.assert_allclose(by_image, np.ones((1, 1, 3)), rtol=1e-6)
        assert by_delta.numpy() == 0.0  # one pixel is its own mean
    finally:
        contrast.registered_gradient = None
        del gradient_registry._registered["AdjustContrastv2"]


def test_types_that_are_not_differentiable(halved):
    tf.no_gradient("HalvedForTest")
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = halved(x)
    assert tape.gradient(y, x) is None


def test_nothing_is_registered_twice(halved):
    tf.RegisterGradient("HalvedForTest")(lambda op, g: g)
    with pytest.raises(KeyError, match="Registering two gradient with name 'HalvedForTest'"):
        tf.RegisterGradient("HalvedForTest")(lambda op, g: g)
    with pytest.raises(KeyError, match="'Sigmoid'"):
        tf.RegisterGradient("Sigmoid")(lambda op, g: g)
    with pytest.raises(TypeError, match="op_type must be a string"):
        tf.RegisterGradient(3)


def test_a_wrong_number_of_gradients(halved):
    tf.RegisterGradient("HalvedForTest")(lambda op, g: [g, g])
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = halved(x)
    with pytest.raises(ValueError, match="do not match num inputs 1"):
        tape.gradient(y, x)


def test_a_graph_puts_another_gradient_in_place_of_an_ops_own(halved):
    @tf.RegisterGradient("TenTimes")
    def ten_times(op, grad):
        return 10.0 * grad * op.inputs[0]

    graph = tf.Graph()
    with graph.as_default(), tf.GradientTape(persistent=True) as tape:
        x = tf.constant([1.0, 3.0])
        tape.watch(x)
        plain = tf.square(x)
        with graph.gradient_override_map({"Square": "TenTimes"}):
            other = tf.square(x)
        with graph.gradient_override_map({"Square": "NobodyRegisteredThis"}):
            lost = tf.square(x)
        got = [tape.gradient(plain, x), tape.gradient(other, x)]
        with pytest.raises(LookupError, match="no entry for: NobodyRegisteredThis"):
            tape.gradient(lost, x)
    values = Plan(graph, [], got).run([])
    assert [v.tolist() for v in values] == [[2.0, 6.0], [10.0, 30.0]]
    with pytest.raises(TypeError, match="dictionary"), graph.gradient_override_map(["Square"]):
        pass
