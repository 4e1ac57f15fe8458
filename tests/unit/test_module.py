"""tf.Module: what it finds, in which order, under which names."""

import pytest

import shardtape as tf


class Dense(tf.Module):
    def __init__(self, inputs, outputs, name=None):
        super().__init__(name=name)
        self.w = tf.Variable(tf.ones([inputs, outputs]), name="w")
        self.b = tf.Variable(tf.zeros([outputs]), name="b", trainable=False)

    @tf.Module.with_name_scope
    def __call__(self, x):
        if not hasattr(self, "scale"):
            self.scale = tf.Variable(2.0, name="scale")
        return (x @ self.w + self.b) * self.scale


class Network(tf.Module):
    def __init__(self):
        super().__init__(name="network")
        self.layers = [Dense(2, 3, "first"), Dense(3, 1)]
        self.extra = {"z": tf.Variable(1.0, name="z"), "a": (tf.Variable(2.0, name="a"), "text")}
        self.same = self.layers[0]


def test_finds_variables_and_modules():
    network = Network()
    assert [v.name for v in network.variables] == ["a:0", "z:0", "b:0", "w:0", "b:0", "w:0"]
    assert len(network.trainable_variables) == 4
    assert [v.name for v in network.non_trainable_variables] == ["b:0", "b:0"]
    assert [m.name for m in network.submodules] == ["first", "dense"]


def test_names_inside_the_scope():
    layer = Dense(2, 2, "layer")
    layer(tf.ones((1, 2)))
    layer(tf.ones((1, 2)))
    assert layer.scale.name == "layer/scale:0"
    with layer.name_scope:
        assert tf.Variable(1.0, name="more").name == "layer/more:0"


@pytest.mark.parametrize(
    ("name", "expected"), [("MyModule", "my_module"), ("ABCNet", "abc_net"), ("Net2", "net2")]
)
def test_default_names(name, expected):
    assert type(name, (tf.Module,), {})().name == expected


def test_a_name_must_be_an_identifier():
    with pytest.raises(ValueError, match="valid Python identifiers"):
        tf.Module(name="a b")


def test_a_module_that_holds_itself():
    module = tf.Module()
    module.me = module
    module.v = tf.Variable(1.0)
    assert len(module.variables) == 1


def test_paths_of_leaves():
    network = Network()
    first = network.layers[0].w
    found = list(network._flatten(with_path=True, predicate=lambda x: x is first))
    assert found[0] == (("layers", 0, "w"), first)
