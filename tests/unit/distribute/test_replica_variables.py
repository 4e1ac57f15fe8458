"""Variables of two replicas. Numbers and structures are TensorFlow 2.15's."""

import pickle

import numpy as np
import pytest

import shardtape as tf

ON_READ = tf.VariableSynchronization.ON_READ
Aggregation = tf.VariableAggregation


def number():
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group, tf.float32)


def parts(v):
    return [float(c) for c in v.values]


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    "aggregation, assigned, added",
    [("NONE", [5, 6], [6, 8]), ("SUM", [11, 11], [14, 14]), ("MEAN", [5.5, 5.5], [7, 7]),
     ("ONLY_FIRST_REPLICA", [5, 5], [6, 6])],
)  # fmt: skip
def test_writes_in_replicas(strategy, aggregation, assigned, added, traced):
    with strategy.scope():
        v = tf.Variable(1.0, aggregation=Aggregation[aggregation])
    run = tf.function(strategy.run) if traced else strategy.run
    got = run(lambda: v.assign(5.0 + number()) + 0.0)
    assert parts(v) == assigned == parts(got)
    run(lambda: v.assign_add(1.0 + number()))
    assert parts(v) == added
    run(lambda: v.assign_sub(1.0 + number()))
    assert parts(v) == assigned


def test_what_a_mirrored_variable_is(strategy):
    with strategy.scope():
        v = tf.Variable(1.0)
        w = tf.Variable([1.0, 2.0], name="w", trainable=False)
    assert isinstance(v, tf.Variable) and v.trainable and not w.trainable
    assert repr(v) == (
        "MirroredVariable:{\n  0: <tf.Variable 'Variable:0' shape=() dtype=float32, numpy=1.0>,\n"
        "  1: <tf.Variable 'Variable/replica_1:0' shape=() dtype=float32, numpy=1.0>\n}"
    )
    assert v.synchronization is tf.VariableSynchronization.ON_WRITE and v.distribute_strategy
    assert w.name == "w:0" and w.shape == [2] and w.dtype is tf.float32
    assert float(v + 1.0) == 2.0 and float(tf.reduce_sum(w * v)) == 3.0 and v.numpy() == 1.0
    assert strategy.run(lambda: v) is v
    extended = strategy.extended
    assert extended.variable_created_in_scope(v)
    assert not extended.variable_created_in_scope(tf.Variable(1.0))
    with strategy.scope(), pytest.raises(ValueError, match="NONE"):
        tf.Variable(1.0, synchronization=tf.VariableSynchronization.NONE)


def test_writes_across_replicas(strategy):
    with strategy.scope():
        v = tf.Variable(1.0)
    assert parts(v.assign(3.0)) == [3.0, 3.0] and parts(v.assign_add(3.0)) == [6.0, 6.0]
    assert v.assign(1.0, read_value=False) is None

    @tf.function
    def add():
        v.assign_add(2.0)
        return v + 0.0

    assert float(add()) == 3.0 and parts(v) == [3.0, 3.0]
    mine = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant(float(c.replica_id_in_sync_group))
    )
    v.assign(mine)
    assert parts(v) == [0.0, 1.0]
    update = strategy.extended.update
    assert parts(update(v, lambda c, x: c.assign_add(x), args=(1.0,))) == [1.0, 2.0]
    got = update(v, lambda c, x: c.assign(x), args=(mine,), group=False)
    assert [float(c) for c in got] == [0.0, 1.0]


@pytest.mark.parametrize(
    "aggregation, added, assigned", [("SUM", 7.0, [3.5, 3.5]), ("MEAN", 3.5, [7.0, 7.0]),
                                     ("ONLY_FIRST_REPLICA", 3.0, [7.0, 7.0])],
)  # fmt: skip
def test_synchronised_on_read(strategy, aggregation, added, assigned):
    with strategy.scope():
        v = tf.Variable(2.0, synchronization=ON_READ, aggregation=Aggregation[aggregation])
    tf.function(strategy.run)(lambda: v.assign_add(1.0 + number()))
    assert parts(v) == [3.0, 4.0] and float(v) == float(v.numpy()) == added
    assert parts(strategy.run(lambda: v.read_value())) == [3.0, 4.0]
    v.assign(7.0)
    assert parts(v) == assigned
    if aggregation == "SUM":
        with pytest.raises(ValueError, match="assign_add"):
            v.assign_add(1.0)
    else:
        v.assign_add(1.0)
        assert parts(v) == [8.0, 8.0]


def test_synchronised_on_read_without_aggregation(strategy):
    with strategy.scope():
        v = tf.Variable(2.0, synchronization=ON_READ)
    with pytest.raises(ValueError, match="no aggregation"):
        v.read_value()
    assert parts(strategy.run(lambda: v + number())) == [2.0, 3.0]


def test_rows_in_replicas(strategy):
    with strategy.scope():
        v = tf.Variable(tf.zeros([3, 1]), aggregation=Aggregation.SUM)

    def add():
        slices = tf.IndexedSlices(tf.fill([1, 1], number() + 1.0), tf.constant([1]), [3, 1])
        v.scatter_add(slices)

    strategy.run(add)
    assert [c.numpy().ravel().tolist() for c in v.values] == [[0.0, 3.0, 0.0]] * 2
    assert tf.nn.embedding_lookup(v, [1]).numpy().tolist() == [[3.0]]


def test_variables_made_in_replicas(strategy):
    made = strategy.run(lambda: tf.Variable(number() + 4.0))
    assert parts(made) == [4.0, 4.0] and type(made).__name__ == "MirroredVariable"

    class Holder:
        v = None

    def lazily():
        if Holder.v is None:
            Holder.v = tf.Variable(1.0, aggregation=Aggregation.SUM)
        return Holder.v.assign_add(number())

    for _ in range(2):
        strategy.run(tf.function(lazily))
    assert parts(Holder.v) == [3.0, 3.0]

    def uneven():
        if int(number()) == 1:
            return tf.Variable(1.0, name="other")
        return tf.Variable(1.0, name="first")

    with pytest.raises(RuntimeError, match="'other'"):
        strategy.run(uneven)


def test_creators_are_asked(strategy):
    names = []

    def creator(next_creator, **kwargs):
        names.append(kwargs["name"])
        return next_creator(**kwargs)

    with strategy.scope(), tf.variable_creator_scope(creator):
        v = tf.Variable(1.0, name="seen")
    assert names == ["seen"] and len(v.values) == 2


def test_values_that_were_read_stay(strategy):
    with strategy.scope():
        v = tf.Variable([1.0, 2.0])
    before = [c.value() for c in v.values]
    v.values[0].scatter_add(tf.IndexedSlices(tf.constant([5.0]), tf.constant([0]), [2]))
    assert v.values[1].numpy().tolist() == [1.0, 2.0]
    assert [b.numpy().tolist() for b in before] == [[1.0, 2.0]] * 2
    with pytest.raises(TypeError, match="one array"):
        v.bind(np.zeros(2, np.float32))


NEW, OLD = tf.keras.optimizers, tf.keras.optimizers.legacy


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    "make, first, second",
    [(lambda: NEW.SGD(0.1), [0.4, 0.8], [0.16, 0.32]),
     (lambda: OLD.SGD(0.1), [0.4, 0.8], [0.16, 0.32]),
     (lambda: NEW.Adam(0.1), [0.9000007, 1.9000007], [0.80041397, 1.8001682]),
     (lambda: OLD.Adam(0.1), [0.9, 1.9], [0.80041265, 1.8001668])],
)  # fmt: skip
def test_optimizers_add_up_gradients(strategy, make, first, second, traced):
    with strategy.scope():
        v = tf.Variable([1.0, 2.0])
        optimizer = make()

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(v * v) * (1.0 + number())
        gradients = tape.gradient(loss, [v])
        optimizer.apply_gradients(zip(gradients, [v]))
        return loss

    run = tf.function(strategy.run) if traced else strategy.run
    assert parts(run(step)) == [5.0, 10.0]
    for component in v.values:
        np.testing.assert_allclose(component, first, rtol=4e-6)
    run(step)
    for component in v.values:
        np.testing.assert_allclose(component, second, rtol=4e-6)
    assert int(optimizer.iterations) == 2
    with strategy.scope(), pytest.raises(RuntimeError, match="outside of them"):
        optimizer.apply_gradients([(tf.ones(2), v)])
    optimizer.apply_gradients([(tf.ones(2), v)])
    assert v.values[0].numpy().tolist() == v.values[1].numpy().tolist() != second


def test_an_update_is_read_after_it(strategy):
    with strategy.scope():
        v = tf.Variable(1.0)
        optimizer = NEW.SGD(0.5)

    @tf.function
    def step():
        def inside():
            optimizer.apply_gradients([(tf.constant(1.0), v)])
            return v + 0.0

        return strategy.run(inside)

    assert parts(step()) == [0.0, 0.0] and parts(step()) == [-1.0, -1.0]


def test_summed_by_hand(strategy):
    with strategy.scope():
        v = tf.Variable(1.0)
        optimizer = NEW.SGD(0.1)

    def step():
        pairs = optimizer.aggregate_gradients([(number() + 1.0, v)])
        optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
        return pairs[0][0]

    assert parts(strategy.run(step)) == [3.0, 3.0]
    np.testing.assert_allclose(parts(v), [0.7, 0.7], rtol=1e-6)


def test_sparse_gradients_and_weights_under_a_constraint(strategy):
    with strategy.scope():
        v = tf.Variable(tf.ones([3, 1]), constraint=lambda x: tf.maximum(x, 0.5))
        optimizer = NEW.SGD(0.1)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(v, [0, 0, 1])) * (1.0 + number())
        optimizer.apply_gradients([(tape.gradient(loss, v), v)])

    for run in (strategy.run, tf.function(strategy.run)):
        run(step)
    for component in v.values:
        np.testing.assert_allclose(component.numpy().ravel(), [0.5, 0.5, 1.0], rtol=1e-6)


class Own(NEW.Optimizer):
    """v -= rate * (m := m / 2 + g), in ops."""

    def __init__(self, rate):
        super().__init__("Own")
        self._learning_rate = self._build_learning_rate(rate)

    def build(self, var_list):
        super().build(var_list)
        if not hasattr(self, "m"):
            self.m = [self.add_variable_from_reference(v, "m") for v in var_list]

    def update_step(self, gradient, variable):
        m = self.m[self._index_dict[self._var_key(variable)]]
        m.assign(m / 2.0 + gradient)
        variable.assign_sub(m * self.learning_rate)


def test_optimizers_of_ones_own(strategy):
    with strategy.scope():
        a, b = tf.Variable([1.0]), tf.Variable([10.0])
        optimizer = Own(0.5)

    def step():
        optimizer.apply_gradients([(a * (1.0 + number()), a), (tf.constant([2.0]), b)])

    strategy.run(step)  # sums of gradients: 1 + 2 = 3, 2 + 2 = 4
    for v, wanted in ((a, -0.5), (b, 8.0)):
        assert [c.numpy().tolist() for c in v.values] == [[wanted]] * 2
    tf.function(strategy.run)(step)  # m: 1.5 - 1.5 = 0, 2 + 4 = 6
    for v, wanted in ((a, -0.5), (b, 5.0)):
        assert [c.numpy().tolist() for c in v.values] == [[wanted]] * 2
    assert int(optimizer.iterations) == 2


def test_pickled_variables_belong_to_the_scope_that_is_open_where_they_arrive(strategy):
    with strategy.scope():
        mirrored = tf.Variable([1.0, 2.0])
        summed = tf.Variable(6.0, synchronization=ON_READ, aggregation=Aggregation.SUM)
    packed = pickle.dumps([mirrored, summed])
    plain, total = pickle.loads(packed)
    assert not hasattr(plain, "values")
    assert plain.numpy().tolist() == [1.0, 2.0]
    assert total.numpy() == 12.0  # both components begin with 6
    with strategy.scope():
        inside, total = pickle.loads(packed)
    assert total.numpy() == 12.0
    assert [c.numpy().tolist() for c in inside.values] == [[1.0, 2.0], [1.0, 2.0]]
