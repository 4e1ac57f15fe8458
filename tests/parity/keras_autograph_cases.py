"""Keras classes whose methods branch and loop on tensors: they are converted as functions are.

As in `keras_cases.py`; kept in `data/keras_autograph_tf215.npz`.
"""

from parity.keras_cases import fixed_weights, history_of, normal

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def branching_layer(tf):
    class Branching(tf.keras.layers.Layer):
        """Halves until the mean is small, then adds a row for each positive one."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = tf.keras.layers.Dense(4)

        def call(self, x, training=None):
            y = self.dense(x)
            if tf.reduce_mean(y) > 0.0:
                y = y * 2.0
            else:
                y = y - 1.0
            while tf.reduce_sum(tf.abs(y)) > 10.0:
                y = y * 0.5
            total = tf.zeros([4])
            for row in y:
                if row[0] > 0.0:
                    total += row
            return y + total

    return Branching()


x = normal(8, 3)


@case
def layer_in_a_function(tf):
    layer = branching_layer(tf)
    layer(x)
    layer.set_weights([normal(3, 4, seed=1), normal(4, seed=2)])
    run = tf.function(lambda x: layer(x))

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(y, layer.trainable_variables)

    return [layer(x), run(tf.constant(x)), run(tf.constant(-x)), *gradients(tf.constant(x))]


@case
def layer_in_a_functional_model(tf):
    inputs = tf.keras.Input((3,))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2)(branching_layer(tf)(inputs)))
    fixed_weights(model)
    model.compile("sgd", "mse")
    y = normal(8, 2, seed=3)
    history = model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    return [model(x), model.predict(x, verbose=0), *history_of(history), *model.get_weights()]


@case
def layer_in_a_sequential_model(tf):
    model = tf.keras.Sequential([branching_layer(tf), tf.keras.layers.Dense(1)])
    model(x)
    fixed_weights(model)
    model.compile("sgd", "mse")
    history = model.fit(x, x.sum(-1), batch_size=4, epochs=3, shuffle=False, verbose=0)
    return [*history_of(history), model.evaluate(x, x.sum(-1), verbose=0)]


@case
def model_that_branches(tf):
    class Branching(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.small, self.large = tf.keras.layers.Dense(2), tf.keras.layers.Dense(2)

        def build(self, shape):
            self.small.build(shape)
            self.large.build(shape)
            self.built = True

        def call(self, x, training=False):
            if tf.norm(x) > 3.0:
                y = self.large(x)
            else:
                y = self.small(x)
            if training:
                y = y * 1.5
            return self.scaled(y)

        def scaled(self, y):
            n = 0
            while tf.reduce_max(y) > 0.5:
                y = y / 2.0
                n += 1
            return y + tf.cast(n, tf.float32)

    model = Branching()
    model.build((None, 3))
    fixed_weights(model)
    model.compile("sgd", "mse")
    history = model.fit(x, x[:, :2], batch_size=4, epochs=3, shuffle=False, verbose=0)
    return [*history_of(history), model.predict(x * 0.1, verbose=0), model(x)]


@case
def losses_and_metrics_that_branch(tf):
    class Share(tf.keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="share")
            self.count = self.add_weight("count", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            for p in y_pred:
                if p[0] > 0.0:
                    self.count.assign_add(1.0)

        def result(self):
            if self.count > 3.0:
                return self.count * 10.0
            return self.count

    class Huberlike(tf.keras.losses.Loss):
        def call(self, y_true, y_pred):
            error = tf.abs(y_true - y_pred)
            if tf.reduce_max(error) > 1.0:
                return tf.reduce_mean(error, -1)
            return tf.reduce_mean(error**2, -1)

    def plain(y_true, y_pred):
        if tf.reduce_mean(y_pred) > 0.0:
            return tf.reduce_mean((y_true - y_pred) ** 2, -1)
        return tf.reduce_mean(tf.abs(y_true - y_pred), -1)

    out = []
    for loss in (Huberlike(), plain):
        model = fixed_weights(tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))]))
        model.compile("sgd", loss, metrics=[Share(), plain])
        history = model.fit(x, x.sum(-1, keepdims=True), batch_size=4, epochs=3, shuffle=False,
                            verbose=0)  # fmt: skip
        out += [*history_of(history), *model.get_weights()]
    return out


@case
def cell_that_branches(tf):
    cell_model = tf.keras.Sequential([tf.keras.layers.RNN(branching_cell(tf), input_shape=(5, 3))])
    fixed_weights(cell_model)
    sequence = normal(2, 5, 3)
    return [cell_model.predict(sequence, verbose=0), tf.function(cell_model)(tf.constant(sequence))]


def branching_cell(tf):
    class Cell(tf.keras.layers.Layer):
        state_size = output_size = 2

        def build(self, shape):
            self.kernel = self.add_weight("k", (3, 2))

        def call(self, x, states):
            h = states[0]
            if tf.reduce_max(h) > 0.3:
                h = h * 0.5
            h = h + tf.tanh(tf.matmul(x, self.kernel))
            return h, [h]

    return Cell()


@case
def a_call_that_is_left_as_it_is(tf):
    class Refused(tf.keras.layers.Layer):
        @tf.autograph.experimental.do_not_convert
        def call(self, x, training=None, mask=None):
            return x if tf.reduce_sum(x) > 0.0 else -x

    try:
        tf.function(lambda x: Refused()(x))(tf.constant(x))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return [str(isinstance(error, TypeError))]
