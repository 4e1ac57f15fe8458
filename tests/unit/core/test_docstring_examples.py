"""What the examples of TensorFlow 2.15's own documentation print (its figures), op by op."""

import numpy as np
import pytest

import shardtape as tf


def test_constant_of_a_tensor_is_the_tensor_and_keeps_its_gradient():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        twice = tf.constant(v + v)
        same = tf.constant(v * 1, tf.float32, shape=[2])
    np.testing.assert_array_equal(tape.gradient(twice, v), [2, 2])
    np.testing.assert_array_equal(tape.gradient(same, v), [1, 1])
    x = tf.constant([1, 2])
    assert tf.constant(x) is x
    with pytest.raises(TypeError, match=r"Tensor \[1 2\] \(converted from \[1 2\]\) has 2 el"):
        tf.constant(x, shape=[3])
    with pytest.raises(TypeError, match="but got dtype tf.int32"):
        tf.constant(x, tf.float32)


def test_static_values():
    assert tf.get_static_value(tf.constant(10)) == 10
    assert tf.get_static_value([1, 2]) == [1, 2]
    assert tf.get_static_value(tf.Variable(30)) is None
    assert tf.get_static_value(tf.ragged.constant([[1], [2, 3]])) is None
    assert tf.get_static_value(tf.sparse.eye(2)) is None


def test_sparse_tensors_are_tensors():
    assert tf.is_tensor(tf.sparse.eye(2))
    assert not tf.is_tensor([tf.constant(1)])
    assert not tf.is_tensor(np.ones(1))


def test_constant_initializer_takes_the_type_of_its_value():
    made = tf.constant_initializer([0, 1, 2, 3])([2, 2])
    assert made.dtype is tf.int32
    assert tf.constant_initializer(np.ones((2, 3)))((3, 2)).dtype is tf.float64
    assert tf.keras.initializers.Constant([1, 2])((2,)).dtype is tf.float32
    with pytest.raises(TypeError, match=r"has 2 elements, but got `shape` \(3,\)"):
        tf.keras.initializers.Constant([1, 2])((3,))
    with pytest.raises(TypeError, match="Invalid type for initial value: EagerTensor"):
        tf.constant_initializer(tf.constant([1.0, 2.0]))


@pytest.mark.parametrize("kind", [tf.int32, tf.int64])
def test_uniform_row_length_is_a_tensor_of_the_splits_type(kind):
    rows = tf.RaggedTensor.from_uniform_row_length([1, 2, 3, 4], tf.constant(2, kind))
    assert rows.row_splits.dtype is kind
    assert rows.uniform_row_length.dtype is kind
    assert int(rows.uniform_row_length) == 2
    assert rows[:, -1].numpy().tolist() == [2, 4]
    assert tf.ragged.constant([[1], [2, 3]]).uniform_row_length is None


def test_ragged_stack_of_tensors():
    a, b = tf.constant([[1, 2, 3], [4, 5, 6]]), tf.constant([[5], [6], [7]])
    stacked = tf.ragged.stack([a, b])
    assert stacked.to_list() == [[[1, 2, 3], [4, 5, 6]], [[5], [6], [7]]]
    assert stacked.row_splits.dtype is tf.int64
    assert tf.ragged.stack([a, a], axis=1).shape == [2, 2, 3]
    assert tf.ragged.stack([a, a], axis=-1).numpy().tolist()[0] == [[1, 1], [2, 2], [3, 3]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Shapes of all inputs must match"):
        tf.ragged.stack([a, b], axis=1)
    with pytest.raises(ValueError, match="axis=-3 out of bounds: expected -2<=axis<2"):
        tf.ragged.stack([tf.constant([1]), tf.constant([2])], axis=-3)


SPARSE = ([[0, 0], [2, 0], [2, 1]], [2, 3, 4], [4, 4])


@pytest.mark.parametrize("run", [lambda f: f, tf.function], ids=["eager", "function"])
def test_map_fn_takes_rows_of_sparse_tensors(run):
    st = tf.sparse.SparseTensor(*SPARSE)
    sums = run(lambda s: tf.map_fn(tf.sparse.reduce_sum, s, fn_output_signature=tf.int32))(st)
    assert sums.numpy().tolist() == [2, 0, 7, 0]
    same = run(lambda s: tf.map_fn(lambda row: row, s))(st)
    assert same.indices.numpy().tolist() == SPARSE[0]
    assert same.values.numpy().tolist() == SPARSE[1]
    assert same.dense_shape.numpy().tolist() == SPARSE[2]
    pairs = run(
        lambda s: tf.map_fn(
            lambda p: tf.sparse.reduce_sum(p[0]) * p[1], (s, tf.range(4)),
            fn_output_signature=tf.int32,
        )
    )(st)  # fmt: skip
    assert pairs.numpy().tolist() == [0, 0, 14, 0]


def test_map_fn_makes_sparse_tensors_of_the_largest_shape():
    eyes = tf.map_fn(
        tf.sparse.eye, tf.constant([2, 3]), fn_output_signature=tf.SparseTensorSpec(None)
    )
    expected = np.zeros((2, 3, 3))
    expected[0, :2, :2], expected[1] = np.eye(2), np.eye(3)
    np.testing.assert_array_equal(tf.sparse.to_dense(eyes), expected)


# images of whole numbers show every error of rounding: TensorFlow 2.15 on these six pixels
IMAGE = np.arange(1, 19, dtype=np.int32).reshape(3, 2, 3)


def test_adjust_hue_and_saturation():
    turned = tf.image.adjust_hue(IMAGE, 0.2)
    assert turned.numpy().tolist() == [
        [[2, 1, 3], [5, 4, 6]], [[8, 7, 9], [11, 10, 12]], [[14, 13, 15], [17, 16, 18]],
    ]  # fmt: skip
    x = IMAGE[:2].astype(np.float32)
    np.testing.assert_array_equal(
        tf.image.adjust_hue(x, 0.2)[0], np.float32([[2.3999996, 1, 3], [5.3999996, 4, 6]])
    )
    np.testing.assert_array_equal(
        tf.image.adjust_saturation(x, 0.5)[1], np.float32([[8, 8.5, 9], [11, 11.5, 12]])
    )


@pytest.mark.parametrize("delta", [-0.7, 0.0, 0.31, 1.0])
def test_adjust_hue_turns_the_hue_alone(delta):
    x = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    before = tf.image.rgb_to_hsv(x).numpy()
    after = tf.image.rgb_to_hsv(tf.image.adjust_hue(x, delta)).numpy()
    turn = np.abs((after[:, 0] - before[:, 0] - delta + 0.5) % 1 - 0.5)
    assert turn.max() < 1e-5
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], rtol=1e-5)


def test_dropout_by_a_stateless_mask_scales_by_a_rounded_number():
    dropped = tf.nn.experimental.stateless_dropout(tf.ones((3, 5)), 0.8, [1, 0])
    assert dropped.numpy().tolist() == [[5, 0, 0, 0, 0], [0, 0, 0, 0, 5], [0, 0, 0, 0, 5]]
    x = tf.ones((2,))
    assert tf.nn.experimental.stateless_dropout(x, 0, [1, 0]) is x


def test_numpy_function_and_py_function_as_decorators():
    seen = []

    @tf.numpy_function(Tout=tf.float32)
    def sinh(x):
        """Its text."""
        seen.append(x.dtype)
        return np.sinh(x)

    assert sinh.__doc__ == "Its text."
    assert sinh(1.0).dtype is tf.float64  # eagerly the function gets what numpy makes of 1.0
    assert float(tf.function(lambda x: sinh(x))(tf.constant(2.0))) == pytest.approx(np.sinh(2))
    assert seen == [np.float64, np.float32]

    @tf.py_function(Tout=tf.float32)
    def product(x, y):
        return x * y

    assert float(product(tf.constant(2.0), 3.0)) == 6
    assert float(tf.function(lambda x: product(x, x))(tf.constant(2.0))) == 4


def test_recompute_grad_names_what_it_wraps():
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, kernel_initializer="ones")])
    again = tf.recompute_grad(model)
    with tf.GradientTape() as tape:
        y = again(tf.ones((1, 2)))
    assert again.__wrapped__ is model
    kernel, bias = tape.gradient(y, again.__wrapped__.trainable_variables)
    assert kernel.numpy().tolist() == [[1, 1], [1, 1]]
    assert bias.numpy().tolist() == [1, 1]


def test_changes_of_tables_return_nothing():
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    assert table.insert(["a"], tf.constant([1], tf.int64)) is None
    assert table.remove(tf.constant(["a"])) is None
    assert int(table.size()) == 0


def test_glob_takes_any_iterable(tmp_path):
    for name in ("a1", "a2", "b1"):
        (tmp_path / name).write_text("")
    patterns = iter([f"{tmp_path}/a*", f"{tmp_path}/b*"])
    assert tf.io.gfile.glob(patterns) == [f"{tmp_path}/{n}" for n in ("a1", "a2", "b1")]
    assert tf.io.gfile.glob([]) == []


@pytest.mark.parametrize(
    ("encoding", "given", "expected"),
    [
        ("US ASCII", b"A", b"A"),
        ("latin-1", b"A\xe9\x82\xa0", b"A\xc3\xa9\xc2\x82\xc2\xa0"),
        ("shift_jis", b"A\xe9\x82\xa0", b"A\xe9\xa9\x8d\xef\xbf\xbd"),
        ("windows-1252", b"A\xe9\x82\xa0", b"A\xc3\xa9\xe2\x80\x9a\xc2\xa0"),
        ("koi8-r", b"A\xe9\x82\xa0", b"A\xd0\x98\xe2\x94\x8c\xe2\x95\x90"),
        ("UTF-16", b"A\xe9\x82\xa0", b"\xe4\x87\xa9\xe8\x8a\xa0"),
        ("UTF-16LE", b"A\xe9\x82\xa0", b"\xee\xa5\x81\xea\x82\x82"),
    ],
)
def test_encodings_of_inputs(encoding, given, expected):
    assert tf.strings.unicode_transcode(given, encoding, "UTF-8").numpy() == expected


def test_an_unknown_encoding_is_named():
    with pytest.raises(tf.errors.InvalidArgumentError, match="for input encoding: xx"):
        tf.strings.unicode_transcode("a", "xx", "UTF-8")


def test_euclidean_norms_of_whole_numbers_are_cut():
    x = tf.constant([[1, 2, 3], [1, 1, 1]])
    assert tf.math.reduce_euclidean_norm(x).numpy() == np.int32(4)
    assert tf.math.reduce_euclidean_norm(x, -1, True).numpy().tolist() == [[3], [1]]
    assert tf.math.reduce_euclidean_norm(tf.cast(x, tf.uint8)).dtype is tf.uint8


def test_assets_stand_for_their_paths(tmp_path):
    (tmp_path / "words.txt").write_text("a b")
    asset = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    assert tf.io.read_file(asset).numpy() == b"a b"
    assert tf.function(lambda: tf.io.read_file(asset))().numpy() == b"a b"
    assert asset.asset_path.numpy().endswith(b"words.txt")


def test_fill_takes_a_scalar_for_a_vector_of_one_and_the_other_way():
    assert tf.fill(tf.constant(3), 2.0).numpy().tolist() == [2, 2, 2]
    assert tf.fill([2], [1]).numpy().tolist() == [1, 1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="value must represent a scalar"):
        tf.fill([2], [1, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="dims must represent a vector"):
        tf.fill([[2]], 1)
