"""Small jobs for the tests of shards: specs, placements, pushes, all in one process."""

from dataclasses import replace

import numpy as np

from shardtape.optimizers.sgd import SGDRule
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec
from shardtape.ps.messages import DENSE, Part, Pull, Push, RoundDecision, Scalars
from shardtape.ps.partition import FixedShardsPartitioner, Placement, place
from shardtape.ps.shard import Shard

FIRST = Incarnation(0, 0)
SPECS = (
    VariableSpec("kernel", (13, 3), "float32"),
    VariableSpec("bias", (6,), "float32"),
    VariableSpec("scale", (), "float32"),
)


def first_value(spec):
    size = int(np.prod(spec.shape))
    flat = np.arange(size) % 7 - 3.0
    return (flat / 4).reshape(spec.shape).astype(spec.dtype)


def straight(specs, shards):
    """Cuts everything it can into `shards` parts; part i is on shard i."""
    fixed = FixedShardsPartitioner(shards)
    cut = place(specs, shards, lambda shape, dtype, axis=0: fixed(shape, dtype, axis))
    return Placement(shards, tuple(replace(r, shard=r.part) for r in cut.ranges))


class Job:
    """P shards of one model in this process, with whole gradients going in and values out."""

    def __init__(self, shards=1, mode="async", rule=None, specs=SPECS, **options):
        shard_options = {k: options.pop(k) for k in ("staging_limit_bytes",) if k in options}
        self.specs = specs
        self.rule = rule or SGDRule(0.5)
        self.placement = options.pop("placement", None) or straight(specs, shards)
        self.consistency = Consistency(mode, **options)
        self.shards = [
            Shard(i, self.placement, specs, self.rule.config(), self.consistency, **shard_options)
            for i in range(self.placement.shards)
        ]

    def initialize(self):
        values = {spec.key: first_value(spec) for spec in self.specs}
        for shard in self.shards:
            shard.initialize({id: self.cut(values[id[0]], r) for id, r in shard.ranges.items()})
        return self

    @staticmethod
    def cut(array, r):
        return array[r.start : r.stop] if array.ndim else array

    def parts(self, shard, gradients, kind=DENSE):
        return [
            Part(r.key, r.part, kind, self.cut(gradients[r.key], r))
            for r in shard.ranges.values()
            if r.key in gradients
        ]

    def push(self, batch, gradients=None, attempt=0, worker=0, commit=True, shards=None, **fields):
        """Pushes to all shards (or those given); the list of results."""
        scalars = Scalars() if commit is True else (commit or None)
        results = []
        for shard in self.shards if shards is None else [self.shards[i] for i in shards]:
            based_on = fields.get("based_on", shard.version)
            results.append(
                shard.push(
                    Push(
                        BatchId(*batch), attempt, worker, shard.generation, shard.incarnation,
                        based_on, self.parts(shard, gradients or {}), scalars,
                    )
                )
            )  # fmt: skip
        return results

    def decide(self, number, names, shards=None, **options):
        contributions = tuple((BatchId(*batch), attempt) for batch, attempt in names)
        return [
            shard.decide(
                RoundDecision(number, contributions, shard.generation, shard.incarnation, **options)
            )
            for shard in (self.shards if shards is None else [self.shards[i] for i in shards])
        ]

    def values(self):
        """Whole variables, through pulls."""
        whole = {spec.key: np.empty(spec.shape, spec.dtype) for spec in self.specs}
        for shard in self.shards:
            pulled = shard.pull(Pull(0, 0, shard.generation, shard.incarnation))
            for id, array in pulled.arrays.items():
                r = shard.ranges[id]
                if whole[id[0]].ndim:
                    whole[id[0]][r.start : r.stop] = array
                else:
                    whole[id[0]][...] = array
        return whole


def gradients(seed, specs=SPECS):
    """Whole gradients of a model, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return {s.key: rng.standard_normal(s.shape).astype(s.dtype) for s in specs}


def assert_values(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
