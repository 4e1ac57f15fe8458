"""One regression with Keras's dense layers, with an own layer, and with plain Variables.

The weights of the first two start anywhere, as in the document, whose predictions for the points
that were not trained are one of many outcomes; the third has fixed weights and no shuffling.
"""

import numpy as np
import pytest

import shardtape as tf
import shardtape.keras as keras
import shardtape.keras.activations as activations
import shardtape.keras.layers as layers
from shardtape.keras import optimizers

# numpy deprecates the matrices that the programs use
pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
TARGETS = [[0.1, 0.9], [0.9, 0.1]]


def train_and_predict(model, **options):
    """The program after its model: 120 epochs of single examples; returns the predictions."""
    AX = np.matrix("0.9 0.1; 0.1 0.9", dtype="float32")
    AY = np.matrix("0.1 0.9; 0.9 0.1", dtype="float32")
    history = model.fit(AX, AY, epochs=120, batch_size=1, verbose=0, **options)
    assert len(history.history["loss"]) == 120
    QX = np.matrix("0.9 0.1; 0.1 0.9; 0.8 0.0; 0.2 0.9", dtype="float32")
    print("QX=")
    print(QX)
    QP = model.predict(QX, verbose=0)
    print("QP=")
    print(QP)
    return QP


def check_forms(QP, out):
    assert type(QP) is np.ndarray
    assert (QP.shape, QP.dtype) == ((4, 2), np.float32)
    assert out.startswith("QX=\n[[0.9 0.1]\n [0.1 0.9]\n [0.8 0. ]\n [0.2 0.9]]\nQP=\n[[")


def test_dense_layers_and_an_activation_between(capsys):
    tf.random.set_seed(1)
    model = keras.Sequential()
    model.add(layers.Input(shape=(2,)))
    model.add(layers.Dense(2))
    model.add(layers.Activation(activations.sigmoid))
    model.add(layers.Dense(2))
    sgd = optimizers.SGD(learning_rate=1)
    model.compile(optimizer=sgd, loss="mse")
    QP = train_and_predict(model)
    check_forms(QP, capsys.readouterr().out)
    np.testing.assert_allclose(QP[:2], TARGETS, atol=1e-5)


def test_a_layer_with_weights_of_its_own(capsys):
    class MyDense(tf.keras.layers.Layer):
        def __init__(self, output_dim):
            super(MyDense, self).__init__()  # noqa: UP008
            self.num_outputs = output_dim

        def build(self, input_shape):
            self.W = self.add_weight(
                "W", [input_shape[1], self.num_outputs], initializer="glorot_uniform"
            )
            self.b = self.add_weight("b", [1, self.num_outputs], initializer="zeros")

        def call(self, inputs):
            z = tf.matmul(inputs, self.W) + self.b
            return z

    tf.random.set_seed(1)
    model = keras.Sequential()
    model.add(layers.Input(shape=(2,)))
    model.add(MyDense(2))
    model.add(layers.Activation(activations.sigmoid))
    model.add(MyDense(2))
    sgd = optimizers.SGD(learning_rate=1)
    model.compile(optimizer=sgd, loss="mse")
    QP = train_and_predict(model)
    check_forms(QP, capsys.readouterr().out)
    np.testing.assert_allclose(QP[:2], TARGETS, atol=1e-5)
    assert [w.name for w in model.weights] == ["my_dense/W:0", "my_dense/b:0",
                                               "my_dense_1/W:0", "my_dense_1/b:0"]  # fmt: skip


class FixedDense(tf.keras.layers.Layer):
    """Two inputs, two outputs, plain Variables, the product written out."""

    talks = False

    def __init__(self):
        super(FixedDense, self).__init__()  # noqa: UP008
        self.num_outputs = 2

    def build(self, input_shape):
        self.W = tf.Variable([[0.3, -0.8], [-0.4, 0.2]], dtype=tf.float32, name="W")
        self.b = tf.Variable([0, 0], dtype=tf.float32, name="b")

    def call(self, inputs):
        if self.talks:
            print("inputs=", inputs)
        z0 = inputs[:, 0] * self.W[0, 0] + inputs[:, 1] * self.W[1, 0] + self.b[0]
        z1 = inputs[:, 0] * self.W[0, 1] + inputs[:, 1] * self.W[1, 1] + self.b[1]
        z = tf.stack([z0, z1], axis=1, name="z")
        if self.talks:
            print("z=", z)
        return z


def fixed_model(**options):
    model = keras.Sequential()
    model.add(layers.Input(shape=(2,)))
    model.add(FixedDense())
    model.add(layers.Activation(activations.sigmoid))
    model.add(FixedDense())
    sgd = optimizers.SGD(learning_rate=1)
    model.compile(optimizer=sgd, loss="mse", **options)
    return model


def test_a_layer_of_plain_variables_with_fixed_weights(printed):
    train_and_predict(fixed_model(), shuffle=False)
    printed("""
        QX=
        [[0.9 0.1]
         [0.1 0.9]
         [0.8 0. ]
         [0.2 0.9]]
        QP=
        [[0.1        0.9       ]
         [0.9        0.10000002]
         [0.11852115 0.8831827 ]
         [0.82446176 0.17439479]]
        """, rel=1e-5)  # fmt: skip


def test_what_a_layer_prints_while_it_is_built_trained_and_used(capsys, monkeypatch, printed):
    monkeypatch.setattr(FixedDense, "talks", True)
    model = fixed_model(run_eagerly=True)
    building = capsys.readouterr().out.splitlines()
    assert len(building) == 4  # both layers are called once on symbolic inputs
    assert all("tf.Tensor(" not in line and "(None, 2)" in line for line in building)

    AX = np.matrix("0.9 0.1; 0.1 0.9", dtype="float32")
    AY = np.matrix("0.1 0.9; 0.9 0.1", dtype="float32")
    model.fit(AX, AY, epochs=119, batch_size=1, shuffle=False, verbose=0)
    capsys.readouterr()
    model.fit(AX, AY, epochs=1, batch_size=1, shuffle=False, verbose=0)
    printed("""
        inputs= tf.Tensor([[0.9 0.1]], shape=(1, 2), dtype=float32)
        z= tf.Tensor([[-1.9235604 -1.9927275]], shape=(1, 2), dtype=float32)
        inputs= tf.Tensor([[0.12746507 0.11996861]], shape=(1, 2), dtype=float32)
        z= tf.Tensor([[0.1 0.9]], shape=(1, 2), dtype=float32)
        inputs= tf.Tensor([[0.1 0.9]], shape=(1, 2), dtype=float32)
        z= tf.Tensor([[-1.2987914  0.6264709]], shape=(1, 2), dtype=float32)
        inputs= tf.Tensor([[0.21436849 0.6516889 ]], shape=(1, 2), dtype=float32)
        z= tf.Tensor([[0.9        0.10000002]], shape=(1, 2), dtype=float32)
        """, rel=1e-5)  # fmt: skip
    QX = np.matrix("0.9 0.1; 0.1 0.9; 0.8 0.0; 0.2 0.9", dtype="float32")
    model.predict(QX, verbose=0)
    printed("""
        inputs= tf.Tensor(
        [[0.9 0.1]
         [0.1 0.9]
         [0.8 0. ]
         [0.2 0.9]], shape=(4, 2), dtype=float32)
        z= tf.Tensor(
        [[-1.9235604 -1.9927275]
         [-1.2987914  0.6264709]
         [-1.8094821 -1.9071858]
         [-1.3948787  0.42     ]], shape=(4, 2), dtype=float32)
        inputs= tf.Tensor(
        [[0.12746507 0.11996861]
         [0.21436849 0.6516889 ]
         [0.14070073 0.12929733]
         [0.19863003 0.60348326]], shape=(4, 2), dtype=float32)
        z= tf.Tensor(
        [[0.1        0.9       ]
         [0.9        0.10000002]
         [0.11852115 0.8831827 ]
         [0.82446176 0.17439479]], shape=(4, 2), dtype=float32)
        """, rel=1e-5)  # fmt: skip
