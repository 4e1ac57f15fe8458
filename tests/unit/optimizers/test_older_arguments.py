"""`lr` and `decay` of the optimizers of today: what Keras 2.15 does with them."""

import pytest

import shardtape as tf

NAMES = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl",
         "Lion", "Adafactor"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_older_arguments(name):
    made = getattr(tf.keras.optimizers, name)
    for wrong in ({"decay": 0.1}, {"decay": 0.0}):
        with pytest.raises(ValueError, match=f"decay is deprecated.*legacy.{name}"):
            made(**wrong)
    with pytest.warns(UserWarning, match="`lr` is ignored.*`learning_rate`"):
        optimizer = made(lr=0.3)
    assert optimizer.get_config() == made().get_config()  # Keras leaves the default
    with pytest.raises(TypeError, match="foo"):
        made(foo=1)
