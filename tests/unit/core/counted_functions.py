"""Functions that count how often their Python code runs, and derivatives of their results."""

import shardtape as tf


class Counted:
    """A function and how often its Python code ran."""

    def __init__(self, python, **options):
        def counting(*args, **kwargs):
            self.count += 1
            return python(*args, **kwargs)

        self.count = 0
        self.traced = tf.function(counting, autograph=False, **options)

    def __call__(self, *args, **kwargs):
        return self.traced(*args, **kwargs)


def gradients(function, variable, *others):
    """Value, first and second derivative."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = function(variable, *others)
        g = inner.gradient(y, variable)
    return [float(t) for t in (y, g, outer.gradient(g, variable))]
