"""`tf.experimental.ExtensionType`; what is expected here TensorFlow 2.15 gives, too."""

import typing

import numpy as np
import pytest

import shardtape as tf


class Masked(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor
    name: str = "x"

    def __validate__(self):
        self.values.shape.assert_is_compatible_with(self.mask.shape)

    def total(self):
        return tf.reduce_sum(tf.where(self.mask, self.values, tf.zeros_like(self.values)))


class Mixed(tf.experimental.ExtensionType):
    x: tf.Tensor
    pair: tuple[tf.Tensor, ...]
    named: typing.Mapping[str, tf.Tensor]
    shape: tf.TensorShape
    dtype: tf.DType
    inner: Masked | None = None
    rows: typing.Optional[tf.RaggedTensor] = None  # noqa: UP045 - the older way to write it

    def __init__(self, x, inner=None):
        self.x, self.pair, self.named = x, [x, x], {"b": x, "a": x}
        self.shape, self.dtype, self.inner = [1, None], "int32", inner
        self.rows = tf.ragged.constant([[1], [2, 3]])


def masked():
    return Masked([1.0, 2.0, 3.0], [True, False, True])


def test_fields_are_converted_and_kept():
    m = masked()
    assert m.values.dtype is tf.float32 and m.mask.dtype is tf.bool and m.name == "x"
    assert float(m.total()) == 4.0
    assert repr(Masked([1.0], [True], "q")) == (
        "Masked(values=<tf.Tensor: shape=(1,), dtype=float32, "
        "numpy=array([1.], dtype=float32)>, mask=<tf.Tensor: shape=(1,), dtype=bool, "
        "numpy=array([ True])>, name='q')"
    )
    for change in (lambda: setattr(m, "values", 3), lambda: delattr(m, "values")):
        with pytest.raises(AttributeError, match="Cannot mutate attribute `values` outside"):
            change()
    mixed = Mixed(3.0, m)
    assert isinstance(mixed.pair, tuple) and list(mixed.named) == ["b", "a"]
    assert mixed.shape.as_list() == [1, None] and mixed.dtype is tf.int32
    with pytest.raises(TypeError, match="cannot be changed"):
        mixed.named["c"] = 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Masked([1.0, 2.0], [True]), ValueError, "incompatible"),
        (lambda: Masked([1.0], [True], 3), TypeError, "name: expected 'str', got 'int'"),
        (lambda: Masked("a", 3, 4, 5), TypeError, "too many positional arguments"),
        (lambda: Masked(values=[1.0]), TypeError, "missing a required argument: 'mask'"),
        (lambda: Mixed(3.0, 4), TypeError, "inner: expected one of Masked"),
        (lambda: type("C", (tf.experimental.ExtensionType,), {"__annotations__": {"x": set}}),
         TypeError, "In field 'x': Unsupported type annotation 'set'"),
        (lambda: type("C", (tf.experimental.ExtensionType,), {"__annotations__": {"Spec": int}}),
         ValueError, "'Spec' of extension type 'C' is reserved"),
        (lambda: tf.experimental.ExtensionType(), AssertionError, "define a subclass"),
    ],
)  # fmt: skip
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_functions_trace_by_spec():
    traces = []

    @tf.function
    def double(m):
        traces.append(m.name)
        return Masked(m.values * 2, m.mask, m.name)

    assert double(masked()).values.numpy().tolist() == [2, 4, 6]
    double(masked())
    double(Masked([1.0, 2.0], [True, True]))
    made = double(Masked([1.0, 2.0], [True, True], "other"))
    assert traces == ["x", "x", "other"] and made.name == "other"
    spec = Masked.Spec(tf.TensorSpec([None]), tf.TensorSpec([None], tf.bool), "x")
    assert spec.values.shape.as_list() == [None]
    open_ = tf.function(lambda m: m.total(), input_signature=[spec])
    assert [float(open_(m)) for m in (masked(), Masked([5.0], [True]))] == [4, 5]
    with pytest.raises(TypeError):
        open_(Masked([5], [True]))
    assert repr(spec) == (
        "Masked.Spec(values=TensorSpec(shape=(None,), dtype=tf.float32, name=None), "
        "mask=TensorSpec(shape=(None,), dtype=tf.bool, name=None), name='x')"
    )
    assert tf.type_spec_from_value(masked()).values.shape.as_list() == [3]
    assert spec.is_compatible_with(masked()) and not spec.is_compatible_with(Mixed(1.0))
    common = tf.type_spec_from_value(masked()).most_specific_compatible_type(
        tf.type_spec_from_value(Masked([5.0], [True]))
    )
    assert common == spec and hash(common) == hash(spec)
    with pytest.raises(ValueError, match="No TypeSpec"):
        spec.most_specific_compatible_type(tf.type_spec_from_value(Mixed(1.0)))


def test_loops_and_conditions_carry_them():
    @tf.function
    def repeated(m, n, flag):
        for _ in tf.range(n):
            m = Masked(m.values * 2.0, m.mask)
        if flag:
            m = Masked(m.values + 1.0, m.mask)
        return m

    v = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        made = repeated(Masked(v * 1.0, masked().mask), tf.constant(3), tf.constant(True))
        total = made.total()
    assert made.values.numpy().tolist() == [9, 17, 25]
    assert tape.gradient(total, v).numpy().tolist() == [8, 0, 8]


def test_nests_take_them_apart():
    m = masked()
    assert tf.nest.flatten([m, 1]) == [m, 1] or tf.nest.flatten([m, 1])[0] is m
    flat = tf.nest.flatten({"a": m}, expand_composites=True)
    assert [t.dtype for t in flat] == [tf.float32, tf.bool]
    same = tf.nest.map_structure(
        lambda t: ~t if t.dtype is tf.bool else t + 1, m, expand_composites=True
    )
    assert type(same) is Masked and same.values.numpy().tolist() == [2, 3, 4]
    assert same.mask.numpy().tolist() == [False, True, False]
    rows = tf.ragged.constant([[1], [2, 3]])
    shapes = [t.shape.as_list() for t in tf.nest.flatten([rows], expand_composites=True)]
    assert shapes == [[3], [3]]
    sparse = tf.sparse.from_dense([[1, 0], [0, 2]])
    packed = tf.nest.pack_sequence_as(
        {"a": [rows, sparse]},
        [*tf.nest.flatten([rows], True), *tf.nest.flatten([sparse], True)],
        expand_composites=True,
    )
    np.testing.assert_array_equal(tf.sparse.to_dense(packed["a"][1]), [[1, 0], [0, 2]])
    deep = Mixed(3.0, m)
    assert len(tf.nest.flatten(deep, expand_composites=True)) == 1 + 2 + 2 + 2 + 2


def test_equality_is_a_tensor():
    m = masked()
    assert bool(m == masked()) and not bool(m != masked())
    assert not bool(m == Masked([1.0, 2.0, 4.0], m.mask))
    assert not bool(m == Masked([1.0], [True])) and not bool(m == Masked(m.values, m.mask, "q"))
    assert not bool(m == 3) and bool(Mixed(1.0, m) == Mixed(1.0, masked()))


def test_datasets_and_subclasses():
    m = masked()
    dataset = tf.data.Dataset.from_tensors(m)
    assert dataset.element_spec == tf.type_spec_from_value(m)
    assert bool(next(iter(dataset)) == m)

    class More(Masked):
        extra: int = 3

    more = More([1.0], [True])
    assert more.extra == 3 and isinstance(more, Masked) and float(more.total()) == 1
    assert list(tf.experimental.extension_type.as_dict(more)) == ["values", "mask", "name", "extra"]


class Picture(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor

    class Spec:
        def __init__(self, shape, dtype=tf.float32):
            self.values = tf.TensorSpec(shape, dtype)
            self.mask = tf.TensorSpec(shape, tf.bool)

        def __repr__(self):
            return f"Picture.Spec(shape={self.shape}, dtype={self.dtype})"

        shape = property(lambda self: self.values.shape)
        dtype = property(lambda self: self.values.dtype)


def test_specs_with_a_constructor_of_their_own():
    class Plain(tf.experimental.ExtensionType):
        n: int
        a: tf.Tensor

        class Spec:
            def __init__(self, size):
                self.a = tf.TensorSpec([size])
                self.n = size

    spec = Plain.Spec(2)
    assert repr(spec).endswith("Spec(n=2, a=TensorSpec(shape=(2,), dtype=tf.float32, name=None))")
    assert spec == tf.type_spec_from_value(Plain(2, [1.0, 2.0])) and spec.n == 2
    assert hash(spec) == hash(Plain.Spec(2)) and spec != Plain.Spec(3)
    with pytest.raises(AttributeError, match="outside the custom constructor"):
        spec.n = 3

    assert repr(Picture.Spec([2, 3])) == "Picture.Spec(shape=(2, 3), dtype=<dtype: 'float32'>)"
    seen = []

    @tf.function(input_signature=[Picture.Spec([None])])
    def filled(picture):
        seen.append(picture.values.shape.as_list())
        return tf.where(picture.mask, picture.values, 0.0)

    assert filled(Picture([1.0, 2.0], [True, False])).numpy().tolist() == [1.0, 0.0]
    assert filled(Picture([3.0], [True])).numpy().tolist() == [3.0] and seen == [[None]]


def test_constructors_of_specs_that_are_wrong():
    class Half(tf.experimental.ExtensionType):
        n: int
        a: tf.Tensor

        class Spec:
            def __init__(self, size):
                self.n = size

    with pytest.raises(ValueError, match="Missing required fields: .'a'"):
        Half.Spec(2)

    class More(tf.experimental.ExtensionType):
        a: tf.Tensor

        class Spec:
            def __init__(self, size):
                self.b = size

    with pytest.raises(AttributeError, match="Cannot mutate attribute `b`"):
        More.Spec(2)


class Affine(tf.experimental.ExtensionType):
    """A layer whose method is a traced function."""

    weight: tf.Tensor
    count: int = 1

    @tf.function
    def __call__(self, x):
        TRACED.append(self.count)
        return tf.matmul(x, self.weight) * float(self.count)


TRACED: list[int] = []


def test_traced_methods_share_a_trace_between_objects_of_one_form():
    TRACED.clear()
    x = tf.ones([1, 2])
    assert Affine(tf.ones([2, 2]))(x).numpy().tolist() == [[2, 2]]
    assert Affine(tf.fill([2, 2], 2.0))(x).numpy().tolist() == [[4, 4]]
    assert Affine(tf.ones([2, 2]), 3)(x).numpy().tolist() == [[6, 6]]
    assert TRACED == [1, 3]
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(Affine(v)(x))
    assert tape.gradient(y, v).numpy().tolist() == [[1, 1], [1, 1]]


def test_tapes_watch_the_tensors_of_an_extension_type():
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(x.weight**2)
        return tape.gradient(y, x.weight)

    for function in (gradient, tf.function(gradient)):
        assert function(Affine([[1.0, 3.0]])).numpy().tolist() == [[2, 6]]


class Tree(tf.experimental.ExtensionType):
    value: tf.Tensor
    parts: typing.Tuple["Leaf", ...]  # noqa: UP006
    names: typing.Mapping[str, int] = {"a": 1}


class Leaf(tf.experimental.ExtensionType):
    value: tf.Tensor


def test_annotations_that_name_later_classes():
    tree = Tree(1, (Leaf(2), Leaf(3)))
    total = tf.function(lambda t: t.value + t.parts[0].value * t.parts[1].value)
    assert total(tree).numpy() == 7
    with pytest.raises(TypeError):
        Tree(1, (3,))
    assert "names={'a': 1})" in repr(tf.type_spec_from_value(tree))


def test_values_of_other_types_and_forms_are_not_equal():
    assert (Leaf([1.0]) == 3) is False and (Leaf([1.0]) != 3) is True
    assert (Leaf([1.0]) == Leaf([1])) is False
    assert (Leaf([1.0]) == Leaf([1.0, 2.0])) is False
    assert (Leaf([1.0]) == Leaf([2.0])).numpy() is np.False_


def test_members_without_annotations_are_refused():
    for namespace in ({"extra": 3}, {"_extra": 3}):
        with pytest.raises(ValueError, match="missing a type annotation"):
            type("Wrong", (tf.experimental.ExtensionType,), namespace)
    fine = {"f": lambda self: 1, "p": property(lambda self: 2)}
    assert type("Fine", (tf.experimental.ExtensionType,), fine)().f() == 1
