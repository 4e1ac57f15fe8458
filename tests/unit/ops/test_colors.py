"""Colors that are refused; values are in the parity tests."""

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize("delta", [1.5, np.float32(-1.5), tf.constant(1.5)])
def test_a_hue_is_turned_by_one_turn_at_most(delta):
    with pytest.raises(ValueError, match=r"interval \[-1, 1\]"):  # as in TensorFlow 2.15
        tf.image.adjust_hue(np.ones((2, 2, 3), np.float32), delta)
