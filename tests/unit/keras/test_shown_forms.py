"""What models, metrics and optimizers show of themselves, as Keras 2.15 does."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers


def test_a_sequential_takes_one_layer_twice():
    shared = layers.Dense(4)
    model = keras.Sequential([shared, shared, layers.Dense(1)])
    assert model(tf.ones((2, 4))).shape == (2, 1)
    assert len(model.layers) == 3 and len(model.weights) == 4
    with pytest.raises(ValueError, match="unique names"):
        model.add(layers.Dense(4, name=shared.name))


def test_a_summary_lists_the_calls_of_a_shared_layer_in_their_order(capsys):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x, y = layers.Dense(4, name="x")(a), layers.Dense(4, name="y")(b)
    shared = layers.Dense(4, name="shared")
    first, second = shared(x), shared(y)
    # the second call is met first on the way back from the outputs
    keras.Model([a, b], layers.Concatenate(name="c")([second, first])).summary()
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(" shared"))
    assert "['x[0][0]'," in lines[at] and "'y[0][0]']" in lines[at + 1]


def test_metrics_print_their_arguments_and_have_the_repr_of_objects():
    metric = keras.metrics.Mean(name="m")
    assert str(metric) == "Mean(name=m,dtype=float32)"
    assert repr(metric).endswith(f"Mean object at {hex(id(metric))}>")


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_the_configuration_of_an_optimizer_has_the_learning_rate_before_its_own(name):
    keys = list(getattr(keras.optimizers, name)().get_config())
    assert keys[:11] == [
        "name", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema",
        "ema_momentum", "ema_overwrite_frequency", "jit_compile", "is_legacy_optimizer",
        "learning_rate",
    ]  # fmt: skip


def test_the_learning_rate_of_a_schedule_is_a_variable_of_the_latest_update():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.1)
    assert schedule.get_config()["name"] is None
    optimizer, v = keras.optimizers.SGD(schedule), tf.Variable(1.0)
    shown = repr(optimizer.learning_rate)
    assert shown == ("<tf.Variable 'current_learning_rate:0' shape=() dtype=float32, numpy=0.01>")
    rates, values = [], []
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant(1.0), v)])
        rates.append(optimizer.lr.numpy())
        values.append(v.numpy())
    np.testing.assert_array_equal(rates, np.float32([0.01, 0.007943282, 0.0063095735]))
    np.testing.assert_allclose(values, [0.99, 0.98205674, 0.97574717], rtol=1e-6)


def test_the_rate_of_a_schedule_is_that_of_the_update_where_an_optimizer_makes_it():
    seen = []

    class Own(keras.optimizers.Optimizer):
        def __init__(self, rate):
            super().__init__("own")
            self._learning_rate = self._build_learning_rate(rate)

        def update_step(self, gradient, variable):
            rate = tf.cast(self.learning_rate, variable.dtype)
            seen.append(rate)
            variable.assign_sub(rate * gradient)

    v = tf.Variable(1.0)
    optimizer = Own(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5))
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant(1.0), v)])
    np.testing.assert_allclose(v, 1 - 0.5 - 0.25 - 0.125, rtol=1e-6)


KEYS = {  # of `get_config()`, after name, trainable and dtype
    "Dense": "units activation use_bias kernel_initializer bias_initializer kernel_regularizer "
             "bias_regularizer activity_regularizer kernel_constraint bias_constraint",
    "LSTM": "return_sequences return_state go_backwards stateful unroll time_major units "
            "activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
            "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer "
            "bias_regularizer activity_regularizer kernel_constraint recurrent_constraint "
            "bias_constraint dropout recurrent_dropout implementation",
    "GRUCell": "units activation recurrent_activation use_bias kernel_initializer "
               "recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer "
               "bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout "
               "recurrent_dropout implementation reset_after",
    "BatchNormalization": "axis momentum epsilon center scale beta_initializer gamma_initializer "
                          "moving_mean_initializer moving_variance_initializer beta_regularizer "
                          "gamma_regularizer beta_constraint gamma_constraint",
}  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_the_configuration_of_a_layer_is_in_kerass_order(kind):
    made = getattr(layers, kind)(*() if kind == "BatchNormalization" else (3,))
    assert list(made.get_config())[3:] == KEYS[kind].split()
    assert type(made).from_config(made.get_config()).get_config() == made.get_config()


def test_configurations_of_losses_metrics_and_regularizers():
    loss = keras.losses.Huber()
    assert loss.get_config() == {
        "reduction": "auto", "name": "huber_loss", "delta": 1.0, "fn": "huber"
    }  # fmt: skip
    assert list(loss.get_config()) == ["reduction", "name", "delta", "fn"]
    assert list(keras.metrics.Precision().get_config()) == [
        "name", "dtype", "thresholds", "top_k", "class_id"
    ]  # fmt: skip
    assert keras.metrics.KLDivergence().name == "kullback_leibler_divergence"
    assert keras.regularizers.L2(0.1).get_config() == {"l2": 0.10000000149011612}


METRICS = {  # keys of `get_config()`
    "IoU": "name dtype num_classes target_class_ids ignore_class sparse_y_true sparse_y_pred axis",
    "MeanIoU": "num_classes name dtype ignore_class sparse_y_true sparse_y_pred axis",
    "OneHotIoU": "num_classes target_class_ids name dtype ignore_class sparse_y_pred axis",
    "OneHotMeanIoU": "num_classes name dtype ignore_class sparse_y_pred axis",
    "PrecisionAtRecall": "name dtype class_id num_thresholds recall",
    "SpecificityAtSensitivity": "name dtype class_id num_thresholds sensitivity",
    "MeanRelativeError": "name dtype normalizer",
}


@pytest.mark.parametrize("kind", METRICS)
def test_the_configuration_of_a_metric_is_in_kerass_order(kind):
    arguments = {"IoU": (2, [0]), "OneHotIoU": (2, [0]), "MeanIoU": (2,), "OneHotMeanIoU": (2,),
                 "MeanRelativeError": ([1.0],)}  # fmt: skip
    made = getattr(keras.metrics, kind)(*arguments.get(kind, (0.5,)))
    assert list(made.get_config()) == METRICS[kind].split()
    assert type(made).from_config(made.get_config()).get_config() == made.get_config()


@pytest.mark.parametrize("ending", [".h5", ".keras", ""])
def test_a_layer_as_activation_is_saved_with_its_configuration(tmp_path, ending):
    leaky = layers.LeakyReLU(alpha=0.2)
    dense = layers.Dense(3, activation=leaky, input_shape=(2,))
    form = dense.get_config()["activation"]
    assert (form["module"], form["class_name"]) == ("keras.layers", "LeakyReLU")
    assert form["config"]["alpha"] == 0.20000000298023224
    model = keras.Sequential([dense])
    model.compile("sgd", "mse")
    path = str(tmp_path / f"model{ending}")
    model.save(path)
    again = keras.models.load_model(path)
    assert again.layers[0].activation.alpha == pytest.approx(0.2)
    x = -np.ones((1, 2), np.float32)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-6)


def test_a_configuration_keeps_tuples_and_tells_no_module_of_the_program_itself():
    class Own(layers.Layer):
        pass

    Own.__module__ = "__main__"
    model = keras.Sequential([layers.Dense(3, input_shape=(2,)), layers.Reshape((1, 3)), Own()])
    entrance, dense, reshape, own = model.get_config()["layers"]
    assert entrance["config"]["batch_input_shape"] == (None, 2)
    assert dense["build_config"] == {"input_shape": (None, 2)}
    assert reshape["config"]["target_shape"] == (1, 3)
    assert (own["module"], own["registered_name"]) == (None, "Own")
    text = model.to_json()
    assert '"batch_input_shape": [null, 2]' in text and "tuple" not in text
    again = keras.models.model_from_json(text, {"Own": Own})
    assert type(again.layers[2]) is Own and again.output_shape == (None, 1, 3)


def test_the_schedule_of_an_optimizer_is_described_with_its_module():
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 5))
    form = optimizer.get_config()["learning_rate"]
    assert form == {
        "module": "keras.optimizers.schedules", "class_name": "CosineDecay",
        "config": {"initial_learning_rate": 0.1, "decay_steps": 5, "alpha": 0.0, "name": None,
                   "warmup_target": None, "warmup_steps": 0},
        "registered_name": None,
    }  # fmt: skip
    again = keras.optimizers.Adam.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


def test_statuses_and_writers_are_called_as_in_tensorflow(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.save_weights(str(tmp_path / "w"))
    status = model.load_weights(str(tmp_path / "w"))
    assert type(status).__name__ == "CheckpointLoadStatus"
    none = tf.train.Checkpoint(model=model).restore(None)
    assert type(none).__name__ == "InitializationOnlyStatus"
    writer = tf.summary.create_file_writer(str(tmp_path))
    writer.close()
    assert type(writer).__name__ == "_ResourceSummaryWriter"
    assert isinstance(tf.summary.create_noop_writer(), tf.summary.SummaryWriter)


def test_weights_without_axes_are_numpys_scalars():
    model = keras.Sequential([keras.layers.Normalization(input_shape=(2,))])
    count = model.get_weights()[2]
    assert isinstance(count, np.integer) and count == 0


def test_long_values_are_shown_without_their_shape():
    text = repr(tf.zeros((784, 64)))
    assert text.endswith("       [0., 0., 0., ..., 0., 0., 0.]], dtype=float32)>")
    assert text.count("shape=") == 1
    shown = "numpy=array([   0,    1,    2, ..., 1997, 1998, 1999], dtype=int32)>"
    assert repr(tf.Variable(tf.range(2000))).endswith(shown)
    assert "numpy=array([], shape=(0, 3), dtype=float32)>" in repr(tf.zeros((0, 3)))


def test_kept_states_are_called_variable():
    layer = tf.keras.layers.LSTM(2, stateful=True, name="kept")
    layer(tf.ones((1, 2, 3)))
    assert [v.name for v in layer.states] == ["kept/Variable:0"] * 2
