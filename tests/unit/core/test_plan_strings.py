"""Plans over strings: scalars stay tensors when a plan is specialised."""

import shardtape as tf


def test_scalar_strings_in_a_specialised_plan():
    @tf.function
    def second(x):
        return x[1], tf.identity(x[0])

    words = tf.constant(["a", "b\0"])
    for _ in range(5):
        one, two = second(words)
        assert one.numpy() == b"b\0" and two.numpy() == b"a"
