"""The chain rule by a persistent tape, a perceptron, a network of nine weights, a convolution."""

import numpy as np

import shardtape as tf


def test_chain_rule(printed):
    x = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        v = tf.pow(x, 2)
        u = tf.sin(v)
        f = tf.exp(u)
    dfdu = tape.gradient(f, u)
    print("dfdu:", dfdu.numpy())
    dudv = tape.gradient(u, v)
    print("dudv:", dudv.numpy())
    dvdx = tape.gradient(v, x)
    print("dvdx:", dvdx.numpy())
    dfdv = tape.gradient(f, v)
    print("dfdv:", dfdv.numpy())
    dfdx = tape.gradient(f, x)
    print("dfdx:", dfdx.numpy())
    dudx = tape.gradient(u, x)
    print("dudx:", dudx.numpy())
    del tape
    printed(
        """
        dfdu: 0.4691642
        dudv: -0.65364367
        dvdx: 4.0
        dfdv: -0.3066662
        dfdx: -1.2266648
        dudx: -2.6145747
        """,
        rel=5e-7,
    )


def test_perceptron(printed):
    i1 = tf.constant(0.5)
    i2 = tf.constant(-0.3)
    y = tf.constant(0.4)
    w1 = tf.Variable(-0.2)
    w2 = tf.Variable(0.2)
    b = tf.Variable(0.1)
    with tf.GradientTape(persistent=True) as tape:
        z = w1 * i1 + w2 * i2 + b
        p = tf.math.sigmoid(z)
        c = (p - y) ** 2
    print("dcdw1:", tape.gradient(c, w1).numpy())
    print("dcdw2:", tape.gradient(c, w2).numpy())
    print("dcdb: ", tape.gradient(c, b).numpy())
    printed(
        """
        dcdw1: 0.021232
        dcdw2: -0.0127392
        dcdb:  0.042464
        """,
        rel=5e-7,
    )


def test_nine_derivatives_of_a_network_with_two_hidden_units(printed):
    """Two sigmoid units and a linear one; the exercise's solution."""
    w1, w2, w3, w4 = (tf.Variable(w) for w in (-0.2, 0.5, 0.9, -0.6))
    w5, w6 = tf.Variable(0.2), tf.Variable(-0.4)
    b1, b2, b3 = (tf.Variable(b) for b in (0.4, -0.2, -0.5))
    i1, i2, y = tf.constant(0.6), tf.constant(-0.3), tf.constant(1.0)
    with tf.GradientTape() as tape:
        h1 = tf.math.sigmoid(w1 * i1 + w2 * i2 + b1)
        h2 = tf.math.sigmoid(w3 * i1 + w4 * i2 + b2)
        p = w5 * h1 + w6 * h2 + b3
        c = (p - y) ** 2
    names = ("w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3")
    grads = tape.gradient(c, [w1, w2, w3, w4, w5, w6, b1, b2, b3])
    for name, g in zip(names, grads):
        print(f"dcd{name}:", g.numpy())
    printed(
        """
        dcdw1: -0.09824643
        dcdw2: 0.049123216
        dcdw3: 0.184564
        dcdw4: -0.092282
        dcdw5: -1.751102
        dcdw6: -2.0625236
        dcdb1: -0.16374405
        dcdb2: 0.30760664
        dcdb3: -3.2887366
        """,
        rel=5e-7,
    )


def test_convolution_relu_pooling_and_absolute_error(printed):
    A_in = np.array([[0.4, 0.2, 0.7], [0.9, 0.1, 0.5]], dtype=np.float32)
    A_in = np.reshape(A_in, (1, 2, 3, 1))
    A = tf.constant(A_in, dtype=tf.float32)
    K_in = np.array([[0.3, -0.4], [-0.2, 0.5]], dtype=np.float32)
    K_in = np.reshape(K_in, (2, 2, 1, 1))
    K = tf.Variable(K_in, dtype=tf.float32)
    y = tf.constant(0.01, dtype=tf.float32)

    with tf.GradientTape(persistent=True) as tape:
        F = tf.nn.conv2d(A, K, strides=(1, 1, 1, 1), padding="VALID")
        F = tf.reshape(F, (1, 1, 2, 1))
        print("F", F.numpy().reshape(2))
        G = tf.nn.relu(F)
        print("G", G.numpy().reshape(2))
        p = tf.nn.avg_pool2d(G, (1, 2), (1, 1), "VALID")
        p = tf.reshape(p, (1,))
        print("p", p.numpy().reshape(1))
        c = tf.abs(p - y)
        print("c", c.numpy().reshape(1))

    print("dcdp:", tape.gradient(c, p).numpy().reshape(1))
    print("dpdG:", tape.gradient(p, G).numpy().reshape(2))
    print("dGdF:", tape.gradient(G, F).numpy().reshape(2))
    print("dFdK:\n", tape.gradient(F, K).numpy().reshape(2, 2), sep="")
    print("dcdK:\n", tape.gradient(c, K).numpy().reshape(2, 2), sep="")
    print("dcdG:", tape.gradient(c, G).numpy().reshape(2))
    print("dcdF:", tape.gradient(c, F).numpy().reshape(2))
    printed(
        """
        F [-0.09        0.01000001]
        G [0.         0.01000001]
        p [0.005]
        c [0.005]
        dcdp: [-1.]
        dpdG: [0.5 0.5]
        dGdF: [0. 1.]
        dFdK:
        [[0.6 0.9]
         [1.  0.6]]
        dcdK:
        [[-0.1  -0.35]
         [-0.05 -0.25]]
        dcdG: [-0.5 -0.5]
        dcdF: [-0.  -0.5]
        """,
        rel=5e-7,
    )
