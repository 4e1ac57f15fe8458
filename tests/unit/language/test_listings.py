"""`dir` of namespaces lists what TensorFlow's has, not what the modules need themselves."""

import pytest

import shardtape as tf

# what `dir(tf.keras...)` of TensorFlow 2.15 lists
ACTIVATIONS = [
    "deserialize", "elu", "exponential", "gelu", "get", "hard_sigmoid", "linear", "mish", "relu",
    "selu", "serialize", "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh",
]  # fmt: skip
CONSTRAINTS = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "RadialConstraint", "UnitNorm",
    "deserialize", "get", "max_norm", "min_max_norm", "non_neg", "radial_constraint", "serialize",
    "unit_norm",
]  # fmt: skip
SCHEDULES = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
    "LearningRateSchedule", "PiecewiseConstantDecay", "PolynomialDecay", "deserialize",
    "serialize",
]  # fmt: skip


def listed(module):
    return [name for name in dir(module) if not name.startswith("_")]


@pytest.mark.parametrize(
    ("path", "names"),
    [("activations", ACTIVATIONS), ("constraints", CONSTRAINTS),
     ("optimizers.schedules", SCHEDULES)],
)  # fmt: skip
def test_a_listing_is_tensorflows(path, names):
    module = tf.keras
    for part in path.split("."):
        module = getattr(module, part)
    assert listed(module) == names


def test_relu_layers_are_found_by_their_names():
    found = [name for name in listed(tf.keras.layers) if "relu" in name.lower()]
    assert found == ["LeakyReLU", "PReLU", "ReLU", "ThresholdedReLU"]


@pytest.mark.parametrize("path", ["initializers", "optimizers", "optimizers.legacy", "layers",
                                  "regularizers", "mixed_precision", "losses"])  # fmt: skip
def test_listed_names_are_there_and_none_is_a_module_of_ours(path):
    module = tf.keras
    for part in path.split("."):
        module = getattr(module, part)
    assert "__name__" in dir(module)
    for name in listed(module):
        assert getattr(module, name) is not None
        assert name not in ("Any", "annotations", "np", "convert_to_tensor")


def test_names_that_tensorflow_does_not_list_are_there_all_the_same():
    assert "FunctionLoss" not in dir(tf.keras.losses) and "Rule" not in dir(tf.keras.optimizers)
    assert listed(tf.keras.optimizers)[:3] == ["Adadelta", "Adafactor", "Adagrad"]
    assert tf.keras.losses.BCE is not None and tf.keras.optimizers.Rule is not None
