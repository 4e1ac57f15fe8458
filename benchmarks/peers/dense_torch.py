"""PyTorch's side of dense_ps.py: data parallel with gloo, Ray's documented scheme, one process."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import measure
import numpy as np
import work
from children import free_ports, say

if TYPE_CHECKING:
    from dense_ps import Options

SIZES = work.WIDE_MLP
LEARNING_RATE = 0.01


def run(options: Options) -> None:
    """Plays the role that the options name."""
    if options.role == "worker":
        ddp_worker(options)
    elif options.peer == "ddp-gloo":
        ddp(options)
    elif options.peer == "single-torch":
        single(options)
    else:
        ray_scheme(options, synchronous=options.peer == "ray-doc-sync")


def model(torch: Any) -> Any:
    """The perceptron with the weights that every peer starts from."""
    layers: list[Any] = []
    weights = work.mlp_weights(SIZES)
    for index, (inputs, outputs) in enumerate(zip(SIZES[:-1], SIZES[1:])):
        layer = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights[2 * index].T.copy()))
            layer.bias.copy_(torch.from_numpy(weights[2 * index + 1]))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def batches(torch: Any, options: Options, seed: int = 2) -> list[tuple[Any, Any]]:
    made = work.class_batches(options.batch, seed=seed)
    return [(torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))) for x, y in made]


def stepper(torch: Any, net: Any, data: list[tuple[Any, Any]]) -> Any:
    """One step of SGD on the next batch."""
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    loss_of = torch.nn.CrossEntropyLoss()
    done = [0]

    def step() -> None:
        x, y = data[done[0] % len(data)]
        done[0] += 1
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(x), y).backward()
        optimizer.step()

    return step


def ddp_worker(options: Options) -> None:
    torch = measure.torch(options.threads)
    import torch.distributed as distributed

    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.ports[0]), GLOO_SOCKET_IFNAME="lo"
    )
    distributed.init_process_group("gloo", rank=options.rank, world_size=options.workers)
    net = torch.nn.parallel.DistributedDataParallel(model(torch))
    step = stepper(torch, net, batches(torch, options, 2 + options.rank))

    def steps(count: int) -> float:
        distributed.barrier()
        begin = time.perf_counter()
        for _ in range(count):
            step()
        return count / (time.perf_counter() - begin)

    steps(30)
    # every process must do the same number of steps: the first one's figure decides
    expected = torch.tensor([steps(30)])
    distributed.broadcast(expected, 0)
    count = max(10, int(options.seconds * float(expected)))
    say({"rates": [steps(count) for _ in range(options.windows)]})
    distributed.barrier()


def ddp(options: Options) -> None:
    """DistributedDataParallel over gloo, each worker a process."""
    ports = free_ports(1)
    children = [options.child("worker", rank, ports) for rank in range(options.workers)]
    try:
        limit_s = 120 + options.windows * options.seconds * 2
        rates = [child.hear(limit_s)["rates"] for child in children]
        options.report([sum(each) for each in zip(*rates)])
    finally:
        for child in children:
            child.stop()


def single(options: Options) -> None:
    """One process."""
    torch = measure.torch(options.threads)
    step = stepper(torch, model(torch), batches(torch, options))
    options.report(measure.rate(step, window_s=2.0, repeats=options.windows))


def ray_scheme(options: Options, synchronous: bool) -> None:
    """As in Ray's documentation: one server actor holds the model, weights are objects."""
    import ray

    directory = tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True)
    variables = {
        "OMP_NUM_THREADS": str(options.threads),
        "PYTHONPATH": str(Path(__file__).resolve().parent),
    }
    ray.init(
        address="local",
        _temp_dir=directory.name,
        num_cpus=options.workers + 1,
        include_dashboard=False,
        log_to_driver=bool(os.environ.get("BENCH_DEBUG")),
        object_store_memory=2_000_000_000,
        runtime_env={"env_vars": variables},
        configure_logging=False,
        logging_level="ERROR",
    )

    @ray.remote(num_cpus=1)
    class Server:
        def __init__(self) -> None:
            self.torch = measure.torch(options.threads)
            self.net = model(self.torch)
            self.optimizer = self.torch.optim.SGD(self.net.parameters(), lr=LEARNING_RATE)

        def weights(self) -> dict[str, Any]:
            return {name: value.cpu() for name, value in self.net.state_dict().items()}

        def apply(self, *gradients: Any) -> dict[str, Any]:
            total = [np.stack(each).sum(axis=0) for each in zip(*gradients)]
            self.optimizer.zero_grad()
            for gradient, parameter in zip(total, self.net.parameters()):
                parameter.grad = self.torch.from_numpy(gradient)
            self.optimizer.step()
            return self.weights()

    @ray.remote(num_cpus=1)
    class Worker:
        def __init__(self, rank: int) -> None:
            self.torch = measure.torch(options.threads)
            self.net = model(self.torch)
            self.data = batches(self.torch, options, 2 + rank)
            self.done = 0
            self.loss_of = self.torch.nn.CrossEntropyLoss()

        def gradients(self, weights: dict[str, Any]) -> list[np.ndarray]:
            self.net.load_state_dict(weights)
            x, y = self.data[self.done % len(self.data)]
            self.done += 1
            self.net.zero_grad()
            self.loss_of(self.net(x), y).backward()
            return [parameter.grad.data.cpu().numpy() for parameter in self.net.parameters()]

    server = Server.remote()
    workers = [Worker.remote(rank) for rank in range(options.workers)]
    weights = server.weights.remote()
    flying: dict[Any, Any] = {}

    def rounds(count: int) -> float:
        nonlocal weights
        begin = time.perf_counter()
        if synchronous:
            for _ in range(count):
                pushed = [worker.gradients.remote(weights) for worker in workers]
                weights = server.apply.remote(*pushed)
            ray.wait([weights])
        else:
            for worker in workers if not flying else ():
                flying[worker.gradients.remote(weights)] = worker
            for _ in range(count * len(workers)):
                (first, *_), _ = ray.wait(list(flying))
                worker = flying.pop(first)
                weights = server.apply.remote(first)
                flying[worker.gradients.remote(weights)] = worker
        return count * len(workers) / (time.perf_counter() - begin)

    try:
        rounds(15)
        count = max(5, int(options.seconds * rounds(10) / len(workers)))
        options.report([rounds(count) for _ in range(options.windows)], ps=1)
    finally:
        ray.shutdown()
        directory.cleanup()
