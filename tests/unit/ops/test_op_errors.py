"""What ops refuse, and in which words."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import errors
from shardtape.ops.kernel_errors import kernel_error
from shardtape.ops.registry import REGISTRY


def _i(*values):
    return tf.constant(values, tf.int32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _i(1) // _i(0),
        lambda: _i(1) % _i(0),
        lambda: tf.truncatediv(_i(1), _i(0)),
        lambda: tf.truncatemod(_i(1), _i(0)),
    ],
)
def test_integer_division_by_zero(call):
    with pytest.raises(errors.InvalidArgumentError, match="Integer division by zero"):
        call()


def test_integers_to_negative_powers():
    with pytest.raises(errors.InvalidArgumentError, match="negative integer powers"):
        _i(2) ** _i(-1)


def test_shapes_that_do_not_broadcast():
    with pytest.raises(errors.InvalidArgumentError, match=r"Incompatible shapes: \[2\] vs. \[3\]"):
        tf.ones([2]) + tf.ones([3])


def test_dtypes_are_never_promoted():
    with pytest.raises(errors.InvalidArgumentError, match="float tensor|float32 tensor"):
        tf.ones([2]) + tf.ones([2], tf.float64)
    with pytest.raises(TypeError, match="same dtype"):
        tf.truediv(_i(1), tf.constant(1, tf.int64))
    with pytest.raises(errors.InvalidArgumentError, match="SelectV2"):
        tf.where([True], tf.ones([1]), tf.ones([1], tf.float64))


def test_reshape_names_both_sizes():
    with pytest.raises(errors.InvalidArgumentError, match="6 values.*shape has 8"):
        tf.reshape(tf.ones([2, 3]), [2, 4])
    with pytest.raises(errors.InvalidArgumentError, match="requires a multiple of 4"):
        tf.reshape(tf.ones([2, 3]), [4, -1])


def test_gather_names_the_index():
    with pytest.raises(errors.InvalidArgumentError, match=r"indices\[1\] = 5 is not in \[0, 3\)"):
        tf.gather(tf.ones([3]), [0, 5])
    with pytest.raises(
        errors.InvalidArgumentError, match=r"\[0,7\] does not index into param shape \[3,2\]"
    ):
        tf.gather_nd(tf.ones([3, 2]), [[0, 7]])


def test_matmul_names_both_shapes():
    with pytest.raises(errors.InvalidArgumentError, match=r"In\[0\]: \[2,3\], In\[1\]: \[2,3\]"):
        tf.matmul(tf.ones([2, 3]), tf.ones([2, 3]))
    with pytest.raises(ValueError, match="transpose_a.*adjoint_a"):
        tf.matmul(tf.ones([2, 2]), tf.ones([2, 2]), transpose_a=True, adjoint_a=True)


def test_split_and_squeeze_name_the_axis():
    with pytest.raises(errors.InvalidArgumentError, match="evenly divide"):
        tf.split(tf.ones([5]), 2)
    with pytest.raises(errors.InvalidArgumentError, match="expected a dimension of 1, got 2"):
        tf.squeeze(tf.ones([2, 1]), axis=0)


def test_singular_matrices():
    with pytest.raises(errors.InvalidArgumentError, match="not invertible"):
        tf.linalg.inv(tf.zeros([2, 2]))


def test_indefinite_matrices_have_a_factor_of_nan():
    # as TensorFlow 2.15 on a CPU: the lower triangle is NaN, other matrices of the batch are whole
    both = tf.stack([4 * tf.eye(2), tf.constant([[1.0, 2.0], [2.0, 1.0]])])
    for factor in (tf.linalg.cholesky(both), tf.function(tf.linalg.cholesky)(both)):
        np.testing.assert_array_equal(factor[0], [[2, 0], [0, 2]])
        np.testing.assert_array_equal(np.isnan(factor[1]), [[True, False], [True, True]])
    assert np.isnan(tf.linalg.cholesky([[1.0, 0.0], [0.0, 0.0]])[1, 1])
    with pytest.raises(errors.InvalidArgumentError, match="matrix must be square"):
        tf.linalg.cholesky(tf.zeros([2, 3]))


@pytest.mark.parametrize("values", [[1, 2], [1, tf.constant(2)], [tf.constant(1), 2]])
def test_stack_refuses_an_axis_whatever_the_values_are(values):
    for stack in (tf.stack, tf.function(tf.stack)):
        for axis in (3, -3):
            with pytest.raises(ValueError, match=rf"`axis` = {axis} .*not in range \[-1, 1\)"):
                stack(values, axis=axis)


def test_next_number_has_the_gradient_of_its_first_argument():
    x, y = tf.Variable([[1.0, 2.0]]), tf.Variable(3.0)
    with tf.GradientTape() as tape:
        z = 5.0 * tf.math.nextafter(x, y)
    of_x, of_y = tape.gradient(z, [x, y])
    np.testing.assert_array_equal(of_x, [[5.0, 5.0]])
    assert of_y.shape == () and float(of_y) == 0


def test_refused_arguments_raise_as_kernels_do_or_as_shape_rules_do():
    calls = (
        lambda: tf.range(3, 0, 1), lambda: tf.eye(-1), lambda: tf.concat([], 0),
        lambda: tf.split(tf.ones(2), 0), lambda: tf.tile([1], 2), lambda: tf.reverse([1], 0),
        lambda: tf.nn.conv2d(tf.ones((1, 1)), tf.ones((1, 1, 1, 1)), 1, "SAME"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(errors.InvalidArgumentError):
            call()
        with pytest.raises(ValueError) as caught:
            tf.function(call)()
        assert type(caught.value) is ValueError
    with pytest.raises(errors.FailedPreconditionError, match="3-element"):
        tf.linalg.cross(tf.ones(2), tf.ones(2))


def test_ensure_shape():
    assert tf.ensure_shape(tf.ones([2, 3]), [None, 3]).shape == (2, 3)
    with pytest.raises(errors.InvalidArgumentError, match="not compatible with expected shape"):
        tf.ensure_shape(tf.ones([2, 3]), [3, 3])


def test_slices_of_a_table_keep_their_rows_apart():
    table = tf.Variable(np.ones((5, 2), np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.embedding_lookup(table, [[1, 3], [3, 0]]))
    g = tape.gradient(loss, table)
    assert isinstance(g, tf.IndexedSlices)
    assert g.indices.numpy().tolist() == [1, 3, 3, 0]
    np.testing.assert_array_equal(
        tf.convert_to_tensor(g).numpy()[:, 0], np.array([1, 1, 0, 2, 0], np.float32)
    )
    with pytest.raises(errors.InvalidArgumentError, match=r"not in \[0, 5\)"):
        tf.nn.embedding_lookup(table, [7])


def test_gradients_of_clipping():
    x = tf.constant([3.0, 4.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        clipped = tf.reduce_sum(tf.clip_by_norm(x, 1.0) * [1.0, 0.0])
        kept = tf.reduce_sum(tf.clip_by_norm(x * 0.0, 1.0))
    np.testing.assert_allclose(tape.gradient(clipped, x), [0.128, -0.096], rtol=1e-5)
    assert np.isfinite(tape.gradient(kept, x)).all()


def test_an_infinite_norm_spoils_all():
    clipped, norm = tf.clip_by_global_norm([tf.constant([np.inf]), tf.ones([2]), None], 1.0)
    assert np.isinf(norm) and np.isnan(clipped[1]).all() and clipped[2] is None


def test_one_hot_wants_integers():
    with pytest.raises(tf.errors.InvalidArgumentError, match="one_hot must be integers"):
        tf.one_hot([1.0], 3)
    with pytest.raises(TypeError, match="one_hot must be integers"):
        tf.function(lambda x: tf.one_hot(x, 3))(tf.constant([1.0]))


def test_numbers_that_the_dtype_cannot_hold_are_not_compared():
    for other in (1.5, "a"):
        with pytest.raises(TypeError):
            tf.constant(1) == other  # noqa: B015
        with pytest.raises(TypeError):
            tf.constant(1) != other  # noqa: B015
    assert (tf.constant(1) == None) is False  # noqa: E711
    assert (tf.constant(1) == object()) is False


def test_shapes_are_no_text():
    with pytest.raises(TypeError, match="made of integers"):
        tf.zeros("abc")


def test_unique_takes_vectors():
    with pytest.raises(tf.errors.InvalidArgumentError, match="vector"):
        tf.unique([[1, 2]])


def test_ranks_signs_and_empty_lists_are_checked():
    with pytest.raises(tf.errors.InvalidArgumentError, match="rank 4"):
        tf.nn.conv2d(tf.ones([4, 4]), tf.ones([2, 2]), 1, "SAME")
    with pytest.raises(tf.errors.InvalidArgumentError, match="negative"):
        tf.math.bincount([1, -1])
    with pytest.raises(ValueError, match="at least one function"):
        tf.switch_case(tf.constant(0), [])


@pytest.mark.parametrize("make", [tf.zeros, tf.ones])
@pytest.mark.parametrize("shape", [[1.5], (2, 2.5), [tf.constant(1.0)]])
def test_sizes_are_whole_numbers(make, shape):
    with pytest.raises(TypeError):
        make(shape)


def test_strings_are_not_padded():
    assert tf.strings.as_string(tf.constant(["a"])).numpy().tolist() == [b"a"]
    with pytest.raises(errors.UnimplementedError, match="width=5"):
        tf.strings.as_string(tf.constant(["a"]), width=5)


SHAPES = [
    (lambda: tf.ones([2, 3]) @ tf.ones([2, 3]),
     "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3] [Op:MatMul] name: "),
    (lambda: tf.ones([2, 3]) + [1.0, 2.0],
     "Incompatible shapes: [2,3] vs. [2] [Op:AddV2] name: "),
    (lambda: tf.maximum([1.0], [1.0, 2.0]) + tf.ones([3]),
     "Incompatible shapes: [2] vs. [3] [Op:AddV2] name: "),
    (lambda: tf.pow(tf.ones([2, 3]), [1.0, 2.0]), "Incompatible shapes: [2,3] vs. [2] [Op:Pow]"),
    (lambda: tf.concat([tf.ones([2, 3]), tf.ones([3, 2])], 0),
     "ConcatOp : Dimension 1 in both shapes must be equal: shape[0] = [2,3] vs. shape[1] = [3,2] "
     "[Op:ConcatV2] name: concat"),
    (lambda: tf.stack([tf.ones([2, 3]), tf.ones([3, 2])]),
     "Shapes of all inputs must match: values[0].shape = [2,3] != values[1].shape = [3,2] "
     "[Op:Pack] name: stack"),
    (lambda: tf.reshape(tf.ones([2, 3]), [4, -1]),
     "Input to reshape is a tensor with 6 values, but the requested shape requires a multiple of 4 "
     "[Op:Reshape]"),
    (lambda: tf.transpose(tf.ones([2, 3]), [0]),
     "transpose expects a vector of size 2. But input(1) is a vector of size 1 [Op:Transpose]"),
    (lambda: tf.expand_dims(tf.ones([2, 3]), 9),
     "Tried to expand dim index 9 for tensor with 2 dimensions. [Op:ExpandDims] name: "),
    (lambda: tf.slice(tf.ones([5, 3]), [0, 0], [7, 1]),
     "Expected size[0] in [0, 5], but got 7 [Op:Slice]"),
    (lambda: tf.tile(tf.ones([2]), [1, 2]),
     "Expected multiples argument to be a vector of length 1 but got length 2 [Op:Tile]"),
    (lambda: tf.broadcast_to(tf.ones([2]), [3]),
     "Incompatible shapes: [2] vs. [3] [Op:BroadcastTo]"),
    (lambda: tf.reduce_sum(tf.ones([2, 3]), 5),
     "Invalid reduction dimension (5 for input with 2 dimension(s) [Op:Sum] name: "),
    (lambda: tf.unstack(tf.ones([2, 3]), 3),
     "Input shape axis 0 must equal 3, got shape [2,3] [Op:Unpack] name: unstack"),
    (lambda: tf.fill([-1], 1), "Dimension -1 must be >= 0 [Op:Fill]"),
    (lambda: tf.pad(tf.ones([3]), [[1]]),
     "paddings must be a matrix with 2 columns: [1,1] [Op:Pad]"),
    (lambda: tf.nn.softmax_cross_entropy_with_logits(tf.ones([1, 2]), tf.ones([1, 3])),
     "logits and labels must be broadcastable: logits_size=[1,3] labels_size=[1,2] "
     "[Op:SoftmaxCrossEntropyWithLogits] name: "),
    (lambda: tf.Variable([1.0]).assign_add([1.0, 2.0]),
     "Cannot update variable with shape [1] using a Tensor with shape [2], shapes must be equal. "
     "[Op:AssignAddVariableOp] name: "),
    (lambda: _i(1) // _i(0), "Integer division by zero [Op:FloorDiv] name: "),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), SHAPES)
def test_the_words_are_tensorflows(call, text):
    with pytest.raises(errors.InvalidArgumentError) as caught:
        call()
    assert str(caught.value) == text


def test_the_shapes_stand_by_what_numpy_says():
    arrays = np.ones((2, 3)), np.ones((4, 3))
    with pytest.raises(ValueError) as raised:
        np.matmul(*arrays)
    made = kernel_error(REGISTRY["Einsum"], arrays, raised.value)
    assert "(input shapes: [2, 3], [4, 3]) [Op:Einsum]" in str(made)


def test_a_file_that_is_not_there():
    with pytest.raises(errors.NotFoundError) as caught:
        tf.io.read_file("absent")
    assert str(caught.value) == "absent; No such file or directory [Op:ReadFile]"
