"""Containers as attributes of modules and layers: texts and aliasing of TensorFlow 2.15."""

import collections
import copy
import json
import pickle

import pytest

import shardtape as tf
from shardtape.checkpoint.restoration import Restoration

Pair = collections.namedtuple("Pair", "u v")
VARIABLE = "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=1.0>"


def module(**attributes):
    made = tf.Module()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def variable():
    return tf.Variable(1.0)


# Recorded from TensorFlow 2.15: value, type, repr, str.
RECORDED = [
    (lambda: [variable()], "ListWrapper", f"ListWrapper([{VARIABLE}])", None),
    (lambda: [1, 2, "k"], "ListWrapper", "ListWrapper([1, 2, 'k'])", None),
    (lambda: [], "ListWrapper", "ListWrapper([])", None),
    (
        lambda: [[variable()], {"q": (1,)}],
        "ListWrapper",
        f"ListWrapper([ListWrapper([{VARIABLE}]), DictWrapper({{'q': (1,)}})])",
        None,
    ),
    (lambda: {"x": 1}, "_DictWrapper", "DictWrapper({'x': 1})", "{'x': 1}"),
    (lambda: {}, "_DictWrapper", "DictWrapper({})", "{}"),
    (
        lambda: {"x": [1, {"z": 2}]},
        "_DictWrapper",
        "DictWrapper({'x': ListWrapper([1, DictWrapper({'z': 2})])})",
        "{'x': ListWrapper([1, DictWrapper({'z': 2})])}",
    ),
    (lambda: (1, 2), "tuple", "(1, 2)", None),
    (
        lambda: (variable(),),
        "_TupleWrapper",
        f"_TupleWrapper(({VARIABLE},))",
        f"({VARIABLE},)",
    ),
    (
        lambda: (1, (2, [3])),
        "_TupleWrapper",
        "_TupleWrapper((1, _TupleWrapper((2, ListWrapper([3])))))",
        "(1, _TupleWrapper((2, ListWrapper([3]))))",
    ),
    (
        lambda: Pair(1, variable()),
        "_TupleWrapper",
        f"_TupleWrapper(Pair(u=1, v={VARIABLE}))",
        f"Pair(u=1, v={VARIABLE})",
    ),
]


@pytest.mark.parametrize("make, kind, shown, text", RECORDED)
@pytest.mark.parametrize("owner", [tf.Module, tf.keras.layers.Layer, tf.keras.Model])
def test_attributes_are_shown_as_in_tensorflow(owner, make, kind, shown, text):
    made = owner()
    made.held = make()
    assert type(made.held).__name__ == kind
    assert repr(made.held) == shown
    assert str(made.held) == (text or shown)
    assert made.held == make() or "Variable" in shown  # Variables are compared by identity


def test_elements_are_shared_with_the_container_that_was_given():
    layers, names = [], {}
    owner = module(layers=layers, names=names)
    assert owner.layers is not layers
    for _ in range(3):
        layers.append(tf.keras.layers.Dense(2))
        owner.layers[-1](tf.ones((1, 2)))
    names["y"] = variable()
    owner.names["z"] = 1
    owner.layers.append(variable())
    assert len(owner.trainable_variables) == 8
    assert (len(layers), sorted(names)) == (4, ["y", "z"])
    owner.layers.pop()
    del owner.layers[0]
    assert len(layers) == len(owner.layers) == 2
    owner.layers += [[1]]
    assert type(layers[2]).__name__ == "ListWrapper"
    nested = [[1], [2]]
    owner.nested = nested
    nested[0].append(5)
    assert owner.nested == [[1, 5], [2]]


def test_they_work_like_what_they_wrap():
    owner = module(rows=[3, 1, 2], table={"a": [1], "b": 2})
    rows, table = owner.rows, owner.table
    assert isinstance(rows, list) and isinstance(table, dict)
    assert [0] + rows == [0, 3, 1, 2] and type(rows + [0]) is list and rows * 2 == 2 * rows
    assert (sorted(rows), sum(rows), max(*rows), list(reversed(rows))) == (
        [1, 2, 3],
        6,
        3,
        [2, 1, 3],
    )
    rows.sort(key=lambda x: -x)
    assert rows == [3, 2, 1] and rows < [4] and rows.index(1) == 2 and 7 not in rows
    rows[1:] = [7, 8]
    assert list(rows) == [3, 7, 8] and tuple(rows[::2]) == (3, 8)
    assert json.dumps(table) == '{"a": [1], "b": 2}'
    assert {**table} == dict(table) == table and (table | {"c": 1})["c"] == 1
    assert table.setdefault("d", []) is table["d"] and table.pop("d") == []
    assert table.get("q", 5) == 5 and "b" in table and len(table) == 2
    for made in (copy.copy(rows), copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert (type(made).__name__, made == rows, made is rows) == ("ListWrapper", True, False)
    assert copy.deepcopy(table)["a"] is not table["a"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(rows)


def test_a_copy_of_a_module_that_holds_itself():
    owner = module(parts=[])
    owner.parts.append(owner)
    made = copy.deepcopy(owner)
    assert made.parts[0] is made and made is not owner


def test_structures_keep_them_and_functions_return_plain_ones():
    owner = module(rows=[[1], [2]], table={"a": 1}, pair=(variable(), [2]))
    mapped = tf.nest.map_structure(lambda x: x, owner.rows)
    assert repr(mapped) == "ListWrapper([ListWrapper([1]), ListWrapper([2])])"
    assert type(tf.nest.map_structure(lambda x: x, owner.table)).__name__ == "_DictWrapper"
    assert type(tf.nest.map_structure(lambda x: x, owner.pair)).__name__ == "_TupleWrapper"
    tf.nest.assert_same_structure(owner.rows, [[3], [4]])  # no TypeError
    given = tf.function(lambda: owner.rows)()
    assert type(given) is type(given[0]) is list


def test_what_layers_and_models_tell_of_themselves():
    layer = tf.keras.layers.BatchNormalization()
    layer.build((None, 3))
    assert repr(layer.get_config()["axis"]) == "ListWrapper([1])"
    assert type(tf.keras.layers.Lambda(lambda x: x).arguments) is dict
    inputs = tf.keras.Input((3,))
    model = tf.keras.Model([inputs], [tf.keras.layers.Dense(2)(inputs)])
    kinds = {type(getattr(model, n)) for n in ("inputs", "outputs", "input_names", "output_names")}
    assert kinds == {list}
    model.compile("sgd", ["mse"])
    assert repr(model.loss) == "ListWrapper(['mse'])"


def test_elements_that_took_others_places_in_the_given_container_are_removed():
    module, rows, named = tf.Module(), [1, 2], {"a": 1}
    module.rows, module.named = rows, named
    rows[0] = 5
    del named["a"]
    named["b"] = 2
    module.rows.remove(5)
    assert module.named.pop("b") == 2
    # as in TensorFlow 2.15; what C code sees is the same
    assert (list(module.rows), rows, list.__len__(module.rows)) == ([2], [2], 1)
    assert (dict(module.named), named, dict.__len__(module.named)) == ({}, {}, 0)
    with pytest.raises(ValueError, match="not in list"):
        module.rows.remove(5)


def test_plain_numbers_put_into_a_list_start_no_search_while_a_restore_waits(tmp_path, monkeypatch):
    saved, live = tf.Module(), tf.Module()
    saved.rows, live.rows = [1, 2, tf.Variable(3.0)], []
    path = tf.train.Checkpoint(root=saved).write(str(tmp_path / "ckpt"))
    status = tf.train.Checkpoint(root=live).read(path)
    searches = []
    proceed = Restoration.proceed
    monkeypatch.setattr(
        Restoration, "proceed", lambda self, *a: (searches.append(a), proceed(self, *a))
    )
    live.rows.append(1)
    live.rows.append(2)
    assert not searches
    live.rows.append(tf.Variable(0.0))
    assert searches
    assert live.rows[2].numpy() == 3
    status.assert_consumed()
