"""First steps with tensors: what constants, Variables and their operations print."""

import re

import numpy as np

import shardtape as tf


def test_the_version_is_three_numbers(capsys):
    print(tf.__version__)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_product_of_two_constants(printed):
    a = tf.constant(5.0)
    b = tf.constant(6.0)
    c = a * b
    print(c)
    print(format(c))
    print(c.numpy())
    printed("""
        tf.Tensor(30.0, shape=(), dtype=float32)
        30.0
        30.0
        """)


def test_constants_of_lists_shapes_and_one_repeated_value(printed):
    v = tf.constant([1, 2, 3])
    print("v =", v)
    A = tf.constant([1, 2, 3, 4, 5, 6], shape=(2, 3))
    print("\nA =", A)
    B = tf.constant(-1.0, shape=(2, 3))
    print("\nB =", B)
    printed("""
        v = tf.Tensor([1 2 3], shape=(3,), dtype=int32)

        A = tf.Tensor(
        [[1 2 3]
         [4 5 6]], shape=(2, 3), dtype=int32)

        B = tf.Tensor(
        [[-1. -1. -1.]
         [-1. -1. -1.]], shape=(2, 3), dtype=float32)
        """)


def test_a_tensor_and_named_variables(printed, capsys):
    W1 = tf.ones((2, 2))
    W2 = tf.Variable(tf.zeros((2, 2)), name="weights")
    R = tf.Variable(tf.random.normal((2, 2)), name="random_weights")
    print("\nW1=", W1)
    print("\nW2=", W2)
    printed("""

        W1= tf.Tensor(
        [[1. 1.]
         [1. 1.]], shape=(2, 2), dtype=float32)

        W2= <tf.Variable 'weights:0' shape=(2, 2) dtype=float32, numpy=
        array([[0., 0.],
               [0., 0.]], dtype=float32)>
        """)
    print("\nR=", R)
    number = r"\s*-?\d+\.\d*(e-\d+)?\s*"
    row = rf"\[{number}, {number}\]"
    assert re.fullmatch(
        r"\nR= <tf\.Variable 'random_weights:0' shape=\(2, 2\) dtype=float32, numpy=\n"
        rf"array\(\[{row},\n       {row}\], dtype=float32\)>\n",
        capsys.readouterr().out,
    )


def test_variables_with_a_dtype_and_with_an_unknown_shape(printed):
    v = tf.Variable([1, 2, 3], dtype=tf.float32)
    C = tf.Variable([[1, 2], [3, 4], [5, 6]])
    D = tf.Variable([1, 2, 3, 4, 5, 6], shape=tf.TensorShape(None))
    print("v =", v)
    print("\nC =", C)
    print("\nD =", D)
    printed("""
        v = <tf.Variable 'Variable:0' shape=(3,) dtype=float32, numpy=array([1., 2., 3.], dtype=float32)>

        C = <tf.Variable 'Variable:0' shape=(3, 2) dtype=int32, numpy=
        array([[1, 2],
               [3, 4],
               [5, 6]], dtype=int32)>

        D = <tf.Variable 'Variable:0' shape=<unknown> dtype=int32, numpy=array([1, 2, 3, 4, 5, 6], dtype=int32)>
        """)  # fmt: skip # noqa: E501
    D.assign([[1, 2], [3, 4]])  # any shape may follow
    assert D.numpy().tolist() == [[1, 2], [3, 4]]
    assert D.shape == tf.TensorShape(None)


def test_strings_and_complex_numbers(printed):
    insects = tf.constant(["formiga", "mosca", "aranha"])
    mammals = tf.Variable(["gato", "cavalo"])
    z = tf.Variable([[1 + 2j], [-2 + 3j]])
    print("insects =", insects)
    print("\nmammals=", mammals)
    print("\nz =", z)
    printed("""
        insects = tf.Tensor([b'formiga' b'mosca' b'aranha'], shape=(3,), dtype=string)

        mammals= <tf.Variable 'Variable:0' shape=(2,) dtype=string, numpy=array([b'gato', b'cavalo'], dtype=object)>

        z = <tf.Variable 'Variable:0' shape=(2, 1) dtype=complex128, numpy=
        array([[ 1.+2.j],
               [-2.+3.j]])>
        """)  # fmt: skip # noqa: E501


def test_arithmetic_by_name(printed):
    x = tf.Variable([[2.0, 3.0], [4.0, 9.0]])
    y = tf.constant([2.0, 3])
    print("x =", x.numpy())
    print("y =", y.numpy())
    print("x + y =", tf.add(x, y))
    print("x - y =", tf.subtract(x, y))
    print("x*y =", tf.multiply(x, y))
    print("x/y =", tf.divide(x, y))
    printed("""
        x = [[2. 3.]
         [4. 9.]]
        y = [2. 3.]
        x + y = tf.Tensor(
        [[ 4.  6.]
         [ 6. 12.]], shape=(2, 2), dtype=float32)
        x - y = tf.Tensor(
        [[0. 0.]
         [2. 6.]], shape=(2, 2), dtype=float32)
        x*y = tf.Tensor(
        [[ 4.  9.]
         [ 8. 27.]], shape=(2, 2), dtype=float32)
        x/y = tf.Tensor(
        [[1. 1.]
         [2. 3.]], shape=(2, 2), dtype=float32)
        """)


def test_squares_sums_reshape_and_cast(printed):
    z = tf.Variable([1.0, 2.0, 3.0])
    print("z =", z)
    z2 = tf.square(z)
    print("\nz^2 =", z2.numpy())
    sum_z = tf.reduce_sum(z)
    print("sum_z =", sum_z.numpy())
    A = tf.Variable([[1, 2], [3, 4], [5, 6]])
    sum_col = tf.reduce_sum(A, axis=0)
    sum_row = tf.reduce_sum(A, axis=1)
    sum_all = tf.reduce_sum(A)
    print("\nA =", A)
    print("sum_col =", sum_col.numpy())
    print("sum_row =", sum_row.numpy())
    print("sum_all =", sum_all.numpy())
    a = tf.reshape(A, (1, 6))
    print("a =", a.numpy())
    z_int = tf.cast(z, tf.int32)
    print("\nz_int =", z_int)
    printed("""
        z = <tf.Variable 'Variable:0' shape=(3,) dtype=float32, numpy=array([1., 2., 3.], dtype=float32)>

        z^2 = [1. 4. 9.]
        sum_z = 6.0

        A = <tf.Variable 'Variable:0' shape=(3, 2) dtype=int32, numpy=
        array([[1, 2],
               [3, 4],
               [5, 6]], dtype=int32)>
        sum_col = [ 9 12]
        sum_row = [ 3  7 11]
        sum_all = 21
        a = [[1 2 3 4 5 6]]

        z_int = tf.Tensor([1 2 3], shape=(3,), dtype=int32)
        """)  # fmt: skip # noqa: E501
    assert ((z + z).numpy() == [2, 4, 6]).all()
    assert ((z - z).numpy() == 0).all()
    assert ((z * z).numpy() == [1, 4, 9]).all()
    assert ((z**2).numpy() == [1, 4, 9]).all()


def test_assignments_and_the_read_value(printed):
    x = tf.Variable(0.0)
    print("x =", x)
    x.assign(10.0)
    print("x =", x.numpy())
    x.assign_add(1.0)
    print("x =", x.numpy())
    x.assign_sub(5.0)
    print("x =", x.numpy())
    print(x.read_value().numpy())
    printed("""
        x = <tf.Variable 'Variable:0' shape=() dtype=float32, numpy=0.0>
        x = 10.0
        x = 11.0
        x = 6.0
        6.0
        """)


def test_a_counter(printed):
    state = tf.Variable(0, name="counter")
    print("state=", state.numpy())
    for _ in range(3):
        new_value = tf.add(state, tf.constant(1))
        state.assign(new_value)
        print("state=", state.numpy())
    printed("""
        state= 0
        state= 1
        state= 2
        state= 3
        """)
    assert state.name == "counter:0"


def test_the_same_computation_in_numpy_and_in_tensors(printed):
    a = np.zeros((2, 2))
    b = np.ones((2, 2))
    c = np.sum(b, axis=0)
    d = np.reshape(a, (1, 4))
    print("b=", b)
    print("c=", c)
    print("shape of a=", a.shape)
    print("d=", d)
    printed("""
        b= [[1. 1.]
         [1. 1.]]
        c= [2. 2.]
        shape of a= (2, 2)
        d= [[0. 0. 0. 0.]]
        """)

    a = tf.zeros((2, 2))
    b = tf.ones((2, 2))
    c = tf.reduce_sum(b, axis=0)
    d = tf.reshape(a, (1, 4))
    print("b=", b)
    print("c=", c.numpy())
    print("shape of a=", a.get_shape())
    print("d=", d.numpy())
    printed("""
        b= tf.Tensor(
        [[1. 1.]
         [1. 1.]], shape=(2, 2), dtype=float32)
        c= [2. 2.]
        shape of a= (2, 2)
        d= [[0. 0. 0. 0.]]
        """)
    # the rest of the table of equivalents
    assert tf.reduce_sum(b, axis=1).numpy().tolist() == [2, 2]
    assert (b * 5 + 1).numpy().tolist() == [[6, 6], [6, 6]]
    assert tf.matmul(b, b).numpy().tolist() == np.dot(np.ones((2, 2)), np.ones((2, 2))).tolist()


def test_products_of_vectors_and_matrices(printed):
    x = tf.Variable([[1.0, 2.0, 3.0]])
    y = tf.Variable([[-1.0], [-2.0], [-3.0]])
    A = tf.Variable(tf.ones((3, 3)), dtype=tf.float32)
    B = tf.Variable(3 * tf.ones((3, 2)), dtype=tf.float32)
    for name, value in (("x", x), ("y", y), ("A", A), ("B", B)):
        print(name, "=", value.numpy())
    print("inner =", tf.matmul(x, y).numpy())
    print("outer:\n", tf.matmul(y, x).numpy())
    print("A y:\n", tf.matmul(A, y).numpy())
    print("A B:\n", tf.matmul(A, B).numpy())
    printed("""
        x = [[1. 2. 3.]]
        y = [[-1.]
         [-2.]
         [-3.]]
        A = [[1. 1. 1.]
         [1. 1. 1.]
         [1. 1. 1.]]
        B = [[3. 3.]
         [3. 3.]
         [3. 3.]]
        inner = [[-14.]]
        outer:
         [[-1. -2. -3.]
         [-2. -4. -6.]
         [-3. -6. -9.]]
        A y:
         [[-6.]
         [-6.]
         [-6.]]
        A B:
         [[9. 9.]
         [9. 9.]
         [9. 9.]]
        """)
