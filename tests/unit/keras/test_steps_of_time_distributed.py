"""TimeDistributed refuses inputs without steps; the text is Keras 2.15's."""

import numpy as np
import pytest

from shardtape import keras
from shardtape.keras import layers


@pytest.mark.parametrize(
    "inputs, shown",
    [
        (np.ones((2, 3), "float32"), r"\(2, 3\)"),
        (np.ones(2, "float32"), r"\(2,\)"),
        (lambda: keras.Input((3,)), r"\(None, 3\)"),
    ],
)
@pytest.mark.parametrize("inner", [lambda: layers.Dense(2), layers.Flatten])
def test_inputs_without_steps(inputs, shown, inner):
    given = inputs() if callable(inputs) else inputs
    match = f"with at least 3 dimensions, received: {shown}"
    with pytest.raises(ValueError, match=match):
        layers.TimeDistributed(inner())(given)


def test_shapes_may_be_lists():
    layer = layers.TimeDistributed(layers.Dense(2))
    layer.build([None, 4, 3])
    assert layer(np.ones((5, 4, 3), "float32")).shape == (5, 4, 2)
