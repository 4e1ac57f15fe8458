"""Clusters, resolvers and strategies of clusters; the values were read from TensorFlow 2.15."""

import json

import numpy as np
import pytest

import shardtape as tf

resolvers = tf.distribute.cluster_resolver


@pytest.fixture
def tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return lambda **given: monkeypatch.setenv("TF_CONFIG", json.dumps(given))


def test_a_cluster_tells_its_tasks():
    cluster = tf.train.ClusterSpec({"worker": ["a:1", "b:2"], "ps": ["p:3"]})
    assert repr(cluster) == "ClusterSpec({'ps': ['p:3'], 'worker': ['a:1', 'b:2']})"
    assert cluster.as_dict() == {"worker": ["a:1", "b:2"], "ps": ["p:3"]}
    assert cluster.jobs == ["worker", "ps"] and cluster and not tf.train.ClusterSpec({})
    assert cluster.num_tasks("worker") == 2 and cluster.task_indices("worker") == [0, 1]
    assert cluster.task_address("worker", 1) == "b:2"
    assert cluster.job_tasks("worker") == ["a:1", "b:2"]
    assert cluster == tf.train.ClusterSpec(cluster) and cluster != tf.train.ClusterSpec({})
    assert cluster != 5
    with pytest.raises(ValueError, match="No such job in cluster: 'x'"):
        cluster.num_tasks("x")
    with pytest.raises(ValueError, match="No task with index 5 in job 'worker'"):
        cluster.task_address("worker", 5)
    with pytest.raises(TypeError, match="unhashable"):
        hash(cluster)
    with pytest.raises(tf.errors.UnimplementedError, match="as_dict"):
        cluster.as_cluster_def()


def test_numbers_of_tasks_may_be_left_out():
    sparse = tf.train.ClusterSpec({"worker": {1: "a:1", 3: "b:2"}})
    assert sparse.as_dict() == {"worker": {1: "a:1", 3: "b:2"}}
    assert sparse.job_tasks("worker") == [None, "a:1", None, "b:2"]
    assert sparse.task_indices("worker") == [1, 3] and sparse.num_tasks("worker") == 2
    dense = tf.train.ClusterSpec({"worker": {0: b"a:1"}})
    assert dense == tf.train.ClusterSpec({"worker": ["a:1"]})
    assert dense.as_dict() == {"worker": ["a:1"]}


@pytest.mark.parametrize("given", [["a:1"], {"w": "a:1"}, {"w": [3]}, {3: ["a:1"]}])
def test_what_is_no_cluster_is_refused(given):
    with pytest.raises(TypeError):
        tf.train.ClusterSpec(given)


def test_a_simple_resolver_tells_what_it_was_given():
    cluster = tf.train.ClusterSpec({"worker": ["a:1", "b:2"], "ps": ["p:3"]})
    plain = resolvers.SimpleClusterResolver(cluster)
    assert plain.cluster_spec() is cluster and plain.master() == ""
    assert plain.num_accelerators() == {} and plain.environment == ""
    assert (plain.task_type, plain.task_id, plain.rpc_layer) == (None, None, None)
    full = resolvers.SimpleClusterResolver(
        cluster, master="m:9", task_type="worker", task_id=1, environment="e",
        num_accelerators={"GPU": 2}, rpc_layer="grpc",
    )  # fmt: skip
    assert full.master() == "grpc://m:9" and full.master("ps", 0) == "grpc://p:3"
    assert full.master("ps", 0, "http") == "http://p:3"
    assert full.num_accelerators("worker", 0) == {"GPU": 2} and full.environment == "e"
    full.task_id = 0
    assert (full.task_type, full.task_id) == ("worker", 0)
    with pytest.raises(TypeError, match="ClusterSpec"):
        resolvers.SimpleClusterResolver({"a": ["b"]})


def test_tf_config_is_read(tf_config):
    resolver = resolvers.TFConfigClusterResolver()
    assert resolver.cluster_spec().as_dict() == {} and resolver.master() == ""
    assert (resolver.task_type, resolver.task_id, resolver.rpc_layer) == (None, None, None)
    cluster = {"worker": ["h:1", "h:2"], "chief": ["c:1"]}
    tf_config(cluster=cluster, task={"type": "worker", "index": "1"}, rpc_layer="grpc")
    assert resolver.cluster_spec().as_dict() == cluster
    assert resolver.master() == "grpc://h:2" and resolver.master("chief", 0) == "grpc://c:1"
    assert (resolver.task_type, resolver.task_id, resolver.rpc_layer) == ("worker", 1, "grpc")
    own = resolvers.TFConfigClusterResolver("chief", 0, rpc_layer="x", environment="z")
    assert (own.master(), own.environment) == ("x://c:1", "z")
    tf_config(cluster={"worker": ["h:1"]}, task={"type": "worker", "index": 0})
    assert resolver.master() == ""
    tf_config(session_master="sm")
    assert resolver.master() == "sm"


@pytest.mark.parametrize("given", ["", "worker", "[1]"])
def test_a_tf_config_of_another_form_is_told(given, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", given)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        resolvers.TFConfigClusterResolver().cluster_spec()


def test_resolvers_are_united():
    cluster = tf.train.ClusterSpec
    united = resolvers.UnionResolver(
        resolvers.SimpleClusterResolver(cluster({"worker": ["a:1"]}), "", "worker", 0),
        resolvers.SimpleClusterResolver(cluster({"worker": ["b:1"], "ps": ["p:1"]})),
    )
    assert united.cluster_spec().as_dict() == {"worker": ["a:1", "b:1"], "ps": ["p:1"]}
    assert (united.task_type, united.task_id) == ("worker", 0)
    assert united.master() == "" and united.master("worker", 1) == "b:1"


def test_resolvers_of_services_say_what_to_use():
    with pytest.raises(tf.errors.UnimplementedError, match="shardtape deploy"):
        resolvers.KubernetesClusterResolver()
    with pytest.raises(TypeError, match="abstract"):
        resolvers.ClusterResolver()


def _strategies():
    experimental = tf.distribute.experimental
    return [
        tf.distribute.MultiWorkerMirroredStrategy,
        experimental.MultiWorkerMirroredStrategy,
        experimental.CentralStorageStrategy,
    ]


@pytest.mark.parametrize("kind", _strategies(), ids=["multi_worker", "experimental", "central"])
def test_one_process_trains_in_a_strategy_of_clusters(kind, tf_config):
    strategy = kind()
    assert strategy.num_replicas_in_sync == 1 and len(strategy.extended.worker_devices) == 1
    with strategy.scope():
        model = tf.keras.Sequential(
            [tf.keras.layers.Dense(1, kernel_initializer="ones", input_shape=(2,))]
        )
        model.compile(tf.keras.optimizers.SGD(0.1), "mse")
    x, y = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([[1.0], [2.0]], np.float32)
    # errors 2 and 5: the gradient of the kernel's first row is 2 * (2*1 + 5*3) / 2
    assert model.fit(x, y, verbose=0).history["loss"][0] == pytest.approx((4 + 25) / 2)
    np.testing.assert_allclose(model.get_weights()[0][0], [1 - 0.1 * 17], rtol=1e-6)


def test_the_only_worker_of_tf_config_trains_alone(tf_config):
    tf_config(cluster={"worker": ["localhost:1"]}, task={"type": "worker", "index": 0})
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions()
    )
    resolver = strategy.cluster_resolver
    assert (resolver.task_type, resolver.task_id) == ("worker", 0)
    assert tf.distribute.MirroredStrategy().cluster_resolver is None
    tf_config(cluster={"chief": ["localhost:1"]}, task={"type": "chief", "index": 0})
    assert tf.distribute.MultiWorkerMirroredStrategy().num_replicas_in_sync == 1


@pytest.mark.parametrize(
    "task, text",
    [
        ({"type": "worker", "index": 3}, "`task_id` 3"),
        ({"type": "ps", "index": 0}, "`task_type` 'ps'"),
        ({"type": "worker"}, "`task_type` and `task_id`"),
    ],
)
def test_a_task_that_is_not_there_is_told(task, text, tf_config):
    tf_config(cluster={"worker": ["localhost:1"]}, task=task)
    with pytest.raises(ValueError, match=text):
        tf.distribute.MultiWorkerMirroredStrategy()


def test_several_workers_are_the_trainers_matter(tf_config):
    cluster = {"worker": ["h:1", "h:2"], "ps": ["p:1", "p:2", "p:3"]}
    tf_config(cluster=cluster, task={"type": "worker", "index": 0})
    with pytest.raises(tf.errors.UnimplementedError, match="shardtape.Trainer.*--workers 2"):
        tf.distribute.MultiWorkerMirroredStrategy()
    resolver = resolvers.TFConfigClusterResolver()
    with pytest.raises(tf.errors.UnimplementedError, match="train JOB.py --ps 3 --workers 2"):
        tf.distribute.ParameterServerStrategy(resolver)
    with pytest.raises(tf.errors.UnimplementedError, match="shardtape train"):
        tf.distribute.Server(tf.train.ClusterSpec(cluster), job_name="ps", task_index=0)
    with pytest.raises(tf.errors.UnimplementedError, match="shardtape.Trainer"):
        tf.distribute.coordinator.ClusterCoordinator(tf.distribute.get_strategy())
    with pytest.raises(ValueError, match="is empty"):
        tf.distribute.experimental.ParameterServerStrategy(
            resolvers.SimpleClusterResolver(tf.train.ClusterSpec({}))
        )
    with pytest.raises(ValueError, match="one replica"):
        tf.distribute.experimental.CentralStorageStrategy(["/cpu:0", "/cpu:1"])


def test_values_are_made_for_the_one_replica():
    seen = tf.distribute.get_strategy().experimental_distribute_values_from_function(
        lambda context: (context.replica_id_in_sync_group, context.num_replicas_in_sync)
    )
    assert seen == (0, 1)
    assert tf.distribute.InputOptions().experimental_per_replica_buffer_size == 1
