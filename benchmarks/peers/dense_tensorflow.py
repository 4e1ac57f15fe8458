"""TensorFlow's side of dense_ps.py: TF2's and TF1's parameter servers, and one process."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import work
from children import count_windows, free_ports, hear, say, sum_windows
from measure import rate, tensorflow

if TYPE_CHECKING:
    from dense_ps import Options

SIZES = work.WIDE_MLP
LEARNING_RATE = 0.01


def run(options: Options) -> None:
    """Plays the role that the options name."""
    if options.role == "ps" or (options.role, options.peer) == ("worker", "tf2-ps"):
        serve(options)
    elif options.role == "worker":
        tf1_worker(options)
    else:
        {"tf2-ps": tf2, "tf1-ps": tf1, "single-tf": single}[options.peer](options)


def cluster(options: Options) -> dict[str, list[str]]:
    addresses = [f"127.0.0.1:{port}" for port in options.ports]
    return {"ps": addresses[: options.ps], "worker": addresses[options.ps :]}


def config(options: Options) -> Any:
    import tensorflow as tf

    made = tf.compat.v1.ConfigProto()
    made.intra_op_parallelism_threads = options.threads
    made.inter_op_parallelism_threads = 4
    return made


def serve(options: Options) -> None:
    """A server of TensorFlow's; ends when it is ended."""
    import tensorflow as tf

    server = tf.distribute.Server(
        tf.train.ClusterSpec(cluster(options)),
        job_name=options.role,
        task_index=options.rank,
        protocol="grpc",
        config=config(options),
    )
    say({"ready": True})
    server.join()


def forward(tf: Any, weights: Any, x: Any, y: Any) -> Any:
    """The loss of one batch."""
    hidden = tf.nn.relu(tf.matmul(x, weights[0]) + weights[1])
    hidden = tf.nn.relu(tf.matmul(hidden, weights[2]) + weights[3])
    logits = tf.matmul(hidden, weights[4]) + weights[5]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    return tf.reduce_mean(losses)


def descend(tf: Any, variables: Any, gradients: Any) -> None:
    """SGD through the fused op, without the optimizer class around it."""
    for variable, gradient in zip(variables, gradients):
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.handle, alpha=LEARNING_RATE, delta=gradient
        )


def tf2(options: Options) -> None:
    """ParameterServerStrategy with every variable cut into as many parts as there are servers."""
    ports = free_ports(options.ps + options.workers)
    children = [options.child("ps", rank, ports) for rank in range(options.ps)]
    children += [options.child("worker", rank, ports) for rank in range(options.workers)]
    try:
        for child in children:
            child.hear()
        import dataclasses

        os.environ["GRPC_FAIL_FAST"] = "use_caller"
        tf = tensorflow(options.threads)
        spec = tf.train.ClusterSpec(cluster(dataclasses.replace(options, ports=tuple(ports))))
        strategy = tf.distribute.experimental.ParameterServerStrategy(
            tf.distribute.cluster_resolver.SimpleClusterResolver(spec, rpc_layer="grpc"),
            variable_partitioner=tf.distribute.experimental.partitioners.FixedShardsPartitioner(
                options.ps
            ),
        )
        coordinator = tf.distribute.experimental.coordinator.ClusterCoordinator(strategy)
        with strategy.scope():
            variables = [tf.Variable(weight) for weight in work.mlp_weights(SIZES)]
        parts = [part for v in variables for part in getattr(v, "variables", [v])]
        batches = work.class_batches(options.batch)
        xs = np.stack([x for x, _ in batches])
        ys = np.stack([y for _, y in batches])

        def dataset(_context: Any = None) -> Any:
            return tf.data.Dataset.from_tensor_slices((xs, ys)).repeat().prefetch(2)

        @tf.function
        def for_each_worker() -> Any:
            return strategy.distribute_datasets_from_function(dataset)

        iterator = iter(coordinator.create_per_worker_dataset(for_each_worker))

        def one(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = forward(tf, [tf.convert_to_tensor(v) for v in variables], x, y)
            descend(tf, parts, tape.gradient(loss, parts))
            return loss

        @tf.function
        def step(iterator: Any) -> Any:
            return strategy.run(one, args=next(iterator))

        def steps(count: int) -> float:
            begin = time.perf_counter()
            for _ in range(count):
                coordinator.schedule(step, args=(iterator,))
            coordinator.join()
            return count / (time.perf_counter() - begin)

        steps(61)
        count = max(4, int(options.seconds * steps(60)))
        options.report([steps(count) for _ in range(options.windows)], ps=options.ps)
    finally:
        for child in children:
            child.stop()


def tf1_worker(options: Options) -> None:
    """One worker of the between-graph job; counts its own steps in the parent's windows."""
    import tensorflow as tf

    v1 = tf.compat.v1
    v1.disable_eager_execution()
    spec = tf.train.ClusterSpec(cluster(options))
    server = v1.train.Server(
        spec, job_name="worker", task_index=options.rank, config=config(options)
    )
    setter = v1.train.replica_device_setter(
        cluster=spec, worker_device=f"/job:worker/task:{options.rank}"
    )
    with v1.device(setter):
        x = v1.placeholder(tf.float32, [None, SIZES[0]])
        y = v1.placeholder(tf.int32, [None])
        weights = []
        cut = v1.fixed_size_partitioner(options.ps)
        with v1.variable_scope("mlp", partitioner=cut, use_resource=True):
            for layer, (inputs, outputs) in enumerate(zip(SIZES[:-1], SIZES[1:])):
                limit = float(np.sqrt(6.0 / inputs))
                kernel = v1.get_variable(
                    f"kernel{layer}",
                    [inputs, outputs],
                    initializer=v1.random_uniform_initializer(-limit, limit),
                )
                bias = v1.get_variable(
                    f"bias{layer}", [outputs], initializer=v1.zeros_initializer()
                )
                weights += [tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)]
        train = v1.train.GradientDescentOptimizer(LEARNING_RATE).minimize(
            forward(tf, weights, x, y)
        )
        initialize = v1.global_variables_initializer()
        missing = v1.report_uninitialized_variables()
    session = v1.Session(server.target, config=config(options))
    if options.rank == 0:
        session.run(initialize)
    else:
        deadline = time.monotonic() + 60
        while len(session.run(missing)):
            if time.monotonic() > deadline:
                raise TimeoutError("the first worker did not initialise the variables in 60 s")
            time.sleep(0.2)
    batches = work.class_batches(options.batch, seed=2 + options.rank)
    done = [0]

    def step() -> None:
        images, labels = batches[done[0] % len(batches)]
        done[0] += 1
        session.run(train, {x: images, y: labels})

    for _ in range(30):
        step()
    count_windows(step, options.windows, options.seconds)
    hear()


def tf1(options: Options) -> None:
    """TF1's servers and workers, each a process."""
    ports = free_ports(options.ps + options.workers)
    children = [options.child("ps", rank, ports) for rank in range(options.ps)]
    try:
        for child in children:
            child.hear()
        workers = [options.child("worker", rank, ports) for rank in range(options.workers)]
        children = workers + children
        options.report(sum_windows(workers, options.windows, options.seconds), ps=options.ps)
    finally:
        for child in children:
            child.stop()


def single(options: Options) -> None:
    """One process, one tf.function."""
    tf = tensorflow(options.threads)
    variables = [tf.Variable(weight) for weight in work.mlp_weights(SIZES)]
    batches = work.class_batches(options.batch)

    @tf.function
    def function(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = forward(tf, variables, x, y)
        descend(tf, variables, tape.gradient(loss, variables))
        return loss

    done = [0]

    def step() -> None:
        done[0] += 1
        function(*batches[done[0] % 8])

    options.report(rate(step, window_s=2.0, repeats=options.windows))
