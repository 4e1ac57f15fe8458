"""`tf.saved_model`: objects, functions and models go to a folder and come back."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import saved_model


class Adder(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones((3, 2)), name="w")
        self.parts = {"scale": tf.Variable(2.0), "rest": [tf.Variable([1, 2])]}
        self.table = tf.constant(np.arange(2000, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 3))])
    def __call__(self, x):
        return tf.matmul(x, self.w) * self.parts["scale"]

    @tf.function
    def add(self, amount):
        self.w.assign_add(amount * tf.ones_like(self.w))
        return self.w.read_value()

    @tf.function
    def loop(self, n, double=False):
        s = tf.constant(0.0)
        i = tf.constant(0)
        while i < n:
            if s > 10.0:
                s = s + self.parts["scale"]
            else:
                s = s + tf.reduce_sum(self.w)
            i += 1
        factor = 2.0 if double else 1.0
        return {"s": s * factor, "rows": (tf.gather(self.table, [5, 7]), None)}

    @tf.function
    def pick(self, i, x):
        return tf.switch_case(i, [lambda: x, lambda: x * 2.0, lambda: x * self.w[0, 0]])


X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def saved(tmp_path):
    adder = Adder()
    adder(X)
    adder.add(tf.constant(0.5))
    adder.loop(tf.constant(4))
    adder.loop(tf.constant(4), double=True)
    adder.pick(tf.constant(1), tf.constant(3.0))
    tf.saved_model.save(adder, tmp_path / "model")
    return adder, tf.saved_model.load(tmp_path / "model"), tmp_path / "model"


def test_calls_give_the_same(saved):
    adder, loaded, _ = saved
    np.testing.assert_array_equal(loaded(X), adder(X))
    for n in (0, 3, 9):
        for double in (False, True):
            got = loaded.loop(tf.constant(n), double=double)
            wanted = adder.loop(tf.constant(n), double=double)
            assert float(got["s"]) == float(wanted["s"])
            np.testing.assert_array_equal(got["rows"][0], wanted["rows"][0])
            assert got["rows"][1] is None
    for i in range(3):
        assert float(loaded.pick(tf.constant(i), tf.constant(3.0))) == float(
            adder.pick(tf.constant(i), tf.constant(3.0))
        )


def test_variables_are_its_own_and_change(saved):
    adder, loaded, _ = saved
    np.testing.assert_array_equal(loaded.add(tf.constant(1.0)), adder.w + 1.0)
    np.testing.assert_array_equal(loaded.w, adder.w + 1.0)
    assert loaded.parts["rest"][0].dtype is tf.int32
    assert {v.name for v in loaded.variables} == {v.name for v in adder.variables}


def test_gradients_go_through(saved):
    adder, loaded, _ = saved

    def gradients(module):
        with tf.GradientTape(persistent=True) as tape:
            y = tf.reduce_sum(module(X))
            s = module.loop(tf.constant(4))["s"]
        return tape.gradient(y, module.w), tape.gradient(s, module.w)

    for got, wanted in zip(gradients(loaded), gradients(adder)):
        np.testing.assert_array_equal(got, wanted)


def test_an_untraced_call_is_refused_by_what_there_is(saved):
    with pytest.raises(TypeError, match="Can not cast TensorSpec"):
        saved[1](np.ones((2, 4), np.float32))


def test_default_signature(saved):
    infer = saved[1].signatures["serving_default"]
    np.testing.assert_array_equal(infer(x=tf.constant(X))["output_0"], saved[0](X))
    assert list(infer.structured_outputs) == ["output_0"]


def test_signatures_by_name(tmp_path):
    adder = Adder()
    spec = tf.TensorSpec((), tf.float32, name="amount")
    tf.saved_model.save(adder, tmp_path, {"grow": adder.add.get_concrete_function(spec)},
                        tf.saved_model.SaveOptions())  # fmt: skip
    loaded = tf.saved_model.load(tmp_path, options=tf.saved_model.LoadOptions())
    got = loaded.signatures["grow"](amount=tf.constant(2.0))
    np.testing.assert_array_equal(got["output_0"], np.full((3, 2), 3.0))
    np.testing.assert_array_equal(loaded.w, np.full((3, 2), 3.0))


def test_a_loaded_object_can_be_saved_again(saved, tmp_path):
    adder, loaded, _ = saved
    tf.saved_model.save(loaded, tmp_path / "again")
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path / "again")(X), adder(X))


def test_variables_can_be_read_as_a_checkpoint(saved):
    reader = tf.train.load_checkpoint(saved[2] / "variables")
    np.testing.assert_array_equal(reader.get_tensor("w/.ATTRIBUTES/VARIABLE_VALUE"), saved[0].w)


def test_python_code_in_a_trace_is_left_out(tmp_path, caplog):
    class Steps(tf.Module):
        def __init__(self):
            super().__init__()
            self.v = tf.Variable(1.0)
            self.optimizer = tf.keras.optimizers.SGD(0.1)

        @tf.function
        def train(self):
            self.optimizer.apply_gradients([(tf.constant(1.0), self.v)])

        @tf.function
        def twice(self):
            return self.v * 2.0

    steps = Steps()
    steps.train()
    steps.twice()
    tf.saved_model.save(steps, tmp_path)
    assert "A trace of train is not saved" in caplog.text
    loaded = tf.saved_model.load(tmp_path)
    assert float(loaded.twice()) == pytest.approx(1.8)
    with pytest.raises(ValueError, match="Found zero restored functions.*\n.*'optimizer' is Py"):
        loaded.train()


def test_a_keras_model(tmp_path):
    tf.keras.utils.set_random_seed(1)  # with other first weights every unit may be off
    layers = tf.keras.layers
    a = tf.keras.Input((3,), name="a")
    h = layers.Dropout(0.5)(layers.Dense(4, activation="relu")(a))
    model = tf.keras.Model(a, {"y": layers.Dense(2)(h) * 2.0})
    tf.saved_model.save(model, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded(X)["y"], model(X)["y"])
    signature = loaded.signatures["serving_default"]
    np.testing.assert_array_equal(signature(a=tf.constant(X))["y"], model(X)["y"])
    assert not np.array_equal(loaded(X, training=True)["y"], model(X)["y"])
    again = tf.keras.models.load_model(tmp_path)
    np.testing.assert_array_equal(again(X)["y"], model(X)["y"])


def test_contains_saved_model(saved, tmp_path):
    assert saved_model.contains_saved_model(saved[2])
    assert not saved_model.contains_saved_model(tmp_path)
    assert not saved_model.contains_saved_model(None)


def test_what_tensorflow_wrote_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(tf.errors.InvalidArgumentError, match="SavedModel that TensorFlow wrote"):
        tf.saved_model.load(tmp_path)
    with pytest.raises(tf.errors.NotFoundError, match="no file or folder"):
        tf.saved_model.load(tmp_path / "nothing")


def test_a_signature_returns_tensors(tmp_path):
    class Odd(tf.Module):
        @tf.function
        def name_of(self, x):
            return {"text": "a name", "nothing": None}

    odd = Odd()
    with pytest.raises(ValueError, match="non-Tensor"):
        tf.saved_model.save(odd, tmp_path, odd.name_of.get_concrete_function(tf.constant(1.0)))


class Named(tf.Module):
    @tf.function
    def one(self, x):
        return x + 1.0

    @tf.function
    def nested(self, x, y):
        return {"s": x["a"] + y, "t": x["b"]}

    @tf.function
    def listed(self, x):
        return x[0] + x[1]


def _spec(name=None):
    return tf.TensorSpec([None], tf.float32, name=name)


# the names are TensorFlow 2.15's
@pytest.mark.parametrize(
    ("method", "arguments", "names"),
    [
        ("one", [_spec("inp")], ["inp"]),
        ("one", [_spec()], ["x"]),
        ("nested", [{"a": _spec("qq"), "b": _spec()}, _spec()], ["qq", "x", "y"]),
        ("listed", [[_spec(), _spec()]], ["x", "x_1"]),
        ("listed", [[_spec("u"), _spec("v")]], ["u", "v"]),
        ("listed", [[_spec("u"), _spec("u")]], ["u", "u_1"]),
    ],
)
def test_inputs_of_signatures_have_the_names_of_their_specs(tmp_path, method, arguments, names):
    module = Named()
    concrete = getattr(module, method).get_concrete_function(*arguments)
    assert [p.op.name for p in concrete.inputs] == names
    tf.saved_model.save(module, tmp_path, signatures=concrete)
    served = tf.saved_model.load(tmp_path).signatures["serving_default"]
    positional, by_name = served.structured_input_signature
    assert positional == () and sorted(by_name) == sorted(names)
    result = served(**{name: tf.constant([2.0]) for name in names})
    assert result[min(result)].numpy() == (3.0 if method == "one" else 4.0)


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ([1, tf.Variable(7)], [None, 7]),
        ([tf.Variable(7), "a", None, tf.Variable(8), 5], [7, None, None, 8]),
        ((1, tf.Variable(7)), [None, 7]),
        ([[1], [tf.Variable(7)]], [[], [7]]),
        ([1, [2, 3], tf.Variable(3)], [None, [], 3]),
    ],
)
def test_what_a_list_cannot_save_leaves_its_place(tmp_path, items, kept):
    module = tf.Module()
    module.items = items
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path).items

    def plain(value):
        if isinstance(value, list):
            return [plain(v) for v in value]
        return value if value is None else int(value.numpy())

    assert plain(loaded) == kept


def test_a_sequential_model_that_saw_one_batch_is_saved_for_any(tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, name="d")])
    first = model(tf.ones([8, 3]))
    assert model.input_shape == (8, 3)
    assert model.save_spec()[0][0].shape.as_list() == [None, 3]
    assert model.input_shape == (8, 3)  # asking changes nothing
    saved_model.save(model, str(tmp_path / "m"))
    assert model.input_shape == (None, 3)  # as in Keras 2.15
    loaded = saved_model.load(str(tmp_path / "m"))
    serve = loaded.signatures["serving_default"]
    assert serve.structured_input_signature[1]["d_input"].shape.as_list() == [None, 3]
    np.testing.assert_allclose(loaded(tf.ones([5, 3])), first[:5], rtol=1e-6)
    np.testing.assert_allclose(serve(tf.ones([5, 3]))["d"], first[:5], rtol=1e-6)


def test_what_fits_no_trace_is_listed_as_tensorflow_lists_it(tmp_path):
    class Both(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def declared(self, x):
            return x

        @tf.function
        def free(self, x, training=False):
            return x * 2

    made = Both()
    made.free(tf.ones([2]))
    made.free(tf.ones([2]), training=True)
    saved_model.save(made, str(tmp_path / "m"))
    loaded = saved_model.load(str(tmp_path / "m"))
    with pytest.raises(ValueError) as found:
        loaded.free([tf.ones([3])])
    option = (
        "  Positional arguments (2 total):\n"
        "    * TensorSpec(shape=(2,), dtype=tf.float32, name='x')\n"
        "    * {}\n"
        "  Keyword arguments: {{}}"
    )
    assert str(found.value) == (
        "Could not find matching concrete function to call loaded from the SavedModel. Got:\n"
        "  Positional arguments (2 total):\n"
        "    * [<tf.Tensor 'x:0' shape=(3,) dtype=float32>]\n"
        "    * False\n"
        "  Keyword arguments: {}\n\n"
        " Expected these arguments to match one of the following 2 option(s):\n\n"
        f"Option 1:\n{option.format(False)}\n\nOption 2:\n{option.format(True)}"
    )
    np.testing.assert_array_equal(loaded.free(tf.ones([2]), 1), [2.0, 2.0])  # True is 1
    cast = (
        r"Can not cast TensorSpec\(shape=\(2, 2\), dtype=tf.float32, name=None\) to "
        r"TensorSpec\(shape=\(None,\), dtype=tf.float32, name=None\)`. Received args: "
    )
    with pytest.raises(TypeError, match=cast):
        loaded.declared(tf.ones([2, 2]))
    with pytest.raises(TypeError, match="due to `missing a required argument: 'x'`. Received args"):
        loaded.free()
