"""`tf.random.Generator`: a random generator whose position is a Variable.

The state is a vector of int64: two words of a counter and a key (Philox). Each draw takes 256
blocks per value, like every random op, so that states agree with TensorFlow's. Inside a worker's
step (`backend.random.step_key`) a generator draws from the step's streams and its state stays.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.backend import philox, random
from shardtape.context import state as context
from shardtape.graph.scopes import init_scope, name_scope
from shardtape.ops import math
from shardtape.ops import random_stateless as stateless
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.joining import stack
from shardtape.ops.random import scaled, shape_input
from shardtape.ops.random_binomial import binomial_kinds, draw_binomial
from shardtape.ops.random_stateless import Algorithm, algorithm_number
from shardtape.ops.registry import WRITES, op
from shardtape.ops.shape_rules import from_vector
from shardtape.ops.state import apply_resource
from shardtape.replica_context import scopes
from shardtape.tensor import EagerTensor, Tensor
from shardtape.variable import Variable

_MASK64 = 2**64 - 1
_STATE_SIZES = {
    Algorithm.PHILOX.value: 3,
    Algorithm.THREEFRY.value: 2,
    Algorithm.AUTO_SELECT.value: 3,
}
_lock = threading.Lock()


def _as_words(values: Any) -> np.ndarray:
    """Integers of any size to int64, the upper half of uint64 to negative numbers."""
    if isinstance(values, Tensor):
        values = values.numpy()  # type: ignore[attr-defined]
    flat = [int(v) & _MASK64 for v in np.asarray(values, object).reshape(-1)]
    return np.array(flat, np.uint64).view(np.int64)


def _words_of(position: philox.Philox) -> np.ndarray:
    return _as_words([position.counter, position.counter >> 64, position.key])


@op(
    "RngReadAndSkip",
    shape=lambda handle, alg, delta: handle.value.shape,
    dtype=dt.int64,
    dtypes=dt.ANY,
    effects=WRITES,
    mixed=True,
    differentiable=False,
    widen=False,
)
def rng_read_and_skip(xp, variable, alg, delta):
    """The state of a generator, which then skips what `delta` values take."""
    return _words_of(_taken(variable, int(delta) * philox.BLOCKS_PER_VALUE))


def _taken(variable: Variable, blocks: int) -> philox.Philox:
    """Where a generator stands, which then skips `blocks`; in a step where the step's stream is."""
    if random.in_step():
        return random.take(None, 0, 0, 0)
    with _lock:
        words = variable._read_array()
        if len(words) == _STATE_SIZES[Algorithm.THREEFRY.value]:
            raise errors.UnimplementedError(
                None, None,
                "Non-XLA devices don't support the ThreeFry algorithm. [Op:RngReadAndSkip]",
            )  # fmt: skip
        low, high, key = (int(word) & _MASK64 for word in words)
        position = philox.Philox(key, low | high << 64)
        variable._write_array(_words_of(position.skip(blocks)))
    return position


@op(
    "StatefulRandomBinomial",
    shape=lambda handle, alg, shape, counts, probs, dtype: from_vector(2)(
        handle, alg, shape, counts, probs
    ),
    dtype="dtype",
    dtypes=dt.ANY,
    host=("shape",),
    effects=WRITES,
    mixed=True,
    differentiable=False,
    widen=False,
)
def stateful_binomial(xp, variable, alg, shape, counts, probs, *, dtype=dt.int32):
    """Binomial numbers of a generator."""
    kinds = binomial_kinds(xp, shape, counts, probs)
    position = _taken(variable, kinds.blocks * philox.BLOCKS_PER_VALUE)
    return draw_binomial(xp, position, kinds).astype(dtype.numpy_dtype)


def create_rng_state(seed: Any, alg: Any) -> Tensor:
    """The state (int64) that a generator made from `seed` starts with.

    Args:
      seed: an integer of any size, or a vector; short vectors are filled up on the left.
      alg: "philox".
    """
    return convert_to_tensor(_state_from_seed(seed, algorithm_number(alg)))


def _state_from_seed(seed: Any, alg: int) -> np.ndarray:
    size = _state_size(alg)
    if isinstance(seed, int):
        return _as_words([seed >> (64 * i) for i in range(size)])
    words = _as_words(seed)[:size]
    return np.concatenate([np.zeros(size - len(words), np.int64), words])


def _state_size(alg: int) -> int:
    if alg not in _STATE_SIZES:
        raise ValueError(
            f"Argument `alg` got unsupported value {alg}. Supported values are 1 for the Philox "
            "algorithm, 2 for the ThreeFry algorithm, and 3 for auto-selection."
        )
    return _STATE_SIZES[alg]


class Generator:
    """A random generator; make one with `from_seed` and its like.

    Args:
      copy_from: a generator to copy.
      state: the state, or a Variable to keep it in.
      alg: "philox"; state and alg go together.
    """

    def __init__(self, copy_from: Generator | None = None, state: Any = None, alg: Any = None):
        if copy_from is not None:
            if state is not None or alg is not None:
                raise ValueError("Generator(copy_from=...) takes neither `state` nor `alg`")
            state, alg = copy_from.state, copy_from.algorithm
        elif state is None or alg is None:
            raise ValueError("Generator takes `copy_from`, or `state` and `alg`")
        self._alg = algorithm_number(alg)
        if copy_from is None and isinstance(state, Variable):
            self._state = state
        else:
            words = _as_words(state.numpy() if isinstance(state, Variable) else state)
            self._state = Variable(words, dtype=dt.int64, trainable=False, name="StateVar")
        self._check(self._state.shape)
        self._strategy = getattr(self._state, "distribute_strategy", None)
        # made in the scope of a strategy of one replica, whose key is not that of the state either
        self._of_replica = self._strategy is None and any(
            s.draws_by_replica for s in scopes.strategies[-1:]
        )

    def _check(self, shape: Any) -> None:
        shape.assert_is_compatible_with([_state_size(self._alg)])

    def _trackable_children(self) -> dict[str, Any]:
        return {"_state_var": self._state}

    # ---- making ---------------------------------------------------------------------------
    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """A generator that starts at `seed`, an integer or a vector."""
        number = algorithm_number(alg or "philox")
        return cls(state=_state_from_seed(seed, number), alg=number)

    @classmethod
    def from_state(cls, state: Any, alg: Any) -> Generator:
        """A generator that goes on from `state`."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator that starts anywhere."""
        number = algorithm_number(alg or "philox")
        return cls(state=[secrets.randbits(64) for _ in range(_state_size(number))], alg=number)

    @classmethod
    def from_key_counter(cls, key: Any, counter: Any, alg: Any) -> Generator:
        """A generator with this key (scalar) and counter (vector of 2)."""
        return cls(state=np.concatenate([_as_words(counter), _as_words(key)]), alg=alg)

    def reset(self, state: Any) -> None:
        """Sets the state."""
        words = _as_words(state)
        self._check(shapes.TensorShape([len(words)]))
        self._state.assign(words)

    def reset_from_seed(self, seed: Any) -> None:
        """Sets the state to that of a new generator made from `seed`."""
        self._state.assign(_state_from_seed(seed, self._alg))

    def reset_from_key_counter(self, key: Any, counter: Any) -> None:
        """Sets key and counter."""
        self.reset(np.concatenate([_as_words(counter), _as_words(key)]))

    # ---- state ----------------------------------------------------------------------------
    @property
    def state(self) -> Variable:
        """The Variable that holds the state."""
        return self._state

    @property
    def algorithm(self) -> int:
        """The number of the algorithm."""
        return self._alg

    @property
    def key(self) -> Tensor:
        """The key, a scalar."""
        return self._state[-1]  # type: ignore[index]

    def skip(self, delta: Any) -> Tensor:
        """Moves on as drawing `delta` values does. Returns the state before."""
        inputs = (
            convert_to_tensor(np.int32(self._alg)),
            delta if isinstance(delta, Tensor) else convert_to_tensor(np.int64(delta)),
        )
        if self._strategy is None:
            return apply_resource(rng_read_and_skip, self._state, inputs)
        state: Any = self._state
        components = state.values if self._across() else (state._engine,)
        return [apply_resource(rng_read_and_skip, v, inputs) for v in components][0]

    def _across(self) -> bool:
        return scopes.replica is None and scopes.updating is None

    def _own_key(self, key: Any) -> Any:
        """Of a generator that was made in a strategy's scope the key of the replica that draws."""
        if self._strategy is None:
            if not (self._of_replica and scopes.in_replica):
                return key
            number = 0
        elif self._across():
            return key
        else:
            number = scopes.updating if scopes.updating is not None else scopes.replica.number
        return stateless.stateless_random_uniform_full_int_op(
            convert_to_tensor([1]), key, convert_to_tensor(np.array([number, 0], np.uint64)),
            convert_to_tensor(np.int32(self._alg)), dtype=dt.uint64,
        )  # fmt: skip

    def _drawn(self, sizes: Any) -> tuple[Any, Any, Any]:
        """Inputs key, counter and alg of a drawing op for values of shape `sizes`."""
        if context.graph is None:
            sizes = convert_to_tensor(sizes)
            before = self.skip(int(np.prod(sizes._array)))._array.view(np.uint64)  # type: ignore[attr-defined]
            key: Any = EagerTensor(before[-1:])
            counter: Any = EagerTensor(before[:-1])
        else:
            from shardtape.ops.reduce import reduce_prod

            state = self.skip(reduce_prod(sizes))
            key, counter = state[-1:], state[:-1]
        return self._own_key(key), counter, convert_to_tensor(np.int32(self._alg))

    # ---- drawing --------------------------------------------------------------------------
    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dt.float32,
        name: str | None = None,
    ) -> Tensor:  # fmt: skip
        """Normal values; mean and stddev broadcast with `shape`."""
        return self._normal(
            "stateful_normal", stateless.stateless_random_normal_op, shape, mean, stddev, dtype,
            name,
        )  # fmt: skip

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dt.float32,
        name: str | None = None,
    ) -> Tensor:  # fmt: skip
        """Normal values within two standard deviations."""
        return self._normal(
            "truncated_normal", stateless.stateless_truncated_normal_op, shape, mean, stddev,
            dtype, name,
        )  # fmt: skip

    def _normal(
        self, default_name: str, unit_op: Any, shape: Any, mean: Any, stddev: Any, dtype: Any,
        name: str | None,
    ) -> Tensor:  # fmt: skip
        dtype = dt.as_dtype(dtype)
        with name_scope(name, default_name) as scope:
            sizes = shape_input(shape)
            unit = unit_op(sizes, *self._drawn(sizes), dtype=dtype, name=unit_op.type)
            return scaled(unit, mean, stddev, scope)

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dt.float32,
        name: str | None = None,
    ) -> Tensor:  # fmt: skip
        """Values uniform in [minval, maxval); both None for the whole range of an integer dtype.

        Raises:
          ValueError: one of two integer bounds missing.
        """
        dtype = dt.as_dtype(dtype)
        if dtype.is_integer:
            if (minval is None) != (maxval is None):
                raise ValueError(
                    f"For integer dtype {dtype}, minval and maxval must be both `None` or both "
                    f"non-`None`; got minval={minval} and maxval={maxval}"
                )
            if minval is None:
                return self.uniform_full_int(shape, dtype, name)
        elif maxval is None:
            maxval = 1
        with name_scope(name, "stateful_uniform") as scope:
            sizes = shape_input(shape)
            minval = convert_to_tensor(minval, dtype, name="min")
            maxval = convert_to_tensor(maxval, dtype, name="max")
            drawn = self._drawn(sizes)
            if dtype.is_integer:
                return stateless.stateless_random_uniform_int_op(
                    sizes, *drawn, minval, maxval, name=scope or None
                )
            unit = stateless.stateless_random_uniform_op(sizes, *drawn, dtype=dtype)
            span = math.subtract(maxval, minval, name="sub")
            return math.add(math.multiply(unit, span, name="mul"), minval, name=scope or None)

    def uniform_full_int(
        self, shape: Any, dtype: Any = dt.uint64, name: str | None = None
    ) -> Tensor:
        """Integers over the whole range of `dtype`."""
        with name_scope(name, "stateful_uniform_full_int") as scope:
            sizes = shape_input(shape)
            return stateless.stateless_random_uniform_full_int_op(
                sizes, *self._drawn(sizes), dtype=dt.as_dtype(dtype), name=scope or None
            )

    def binomial(
        self, shape: Any, counts: Any, probs: Any, dtype: Any = dt.int32, name: str | None = None
    ) -> Tensor:
        """Numbers of successes in `counts` trials that succeed with `probs`.

        Args:
          shape: ends with the shape that counts and probs broadcast to.
          counts, probs: floats.
        """
        counts = convert_to_tensor(counts, dtype_hint=dt.float32, name="counts")
        probs = convert_to_tensor(probs, counts.dtype, name="probs")
        inputs = (convert_to_tensor(np.int64(self._alg)), shape_input(shape), counts, probs)
        attrs = {"dtype": dt.as_dtype(dtype)}
        state = getattr(self._state, "_engine", self._state)
        return apply_resource(stateful_binomial, state, inputs, attrs, name or "binomial")

    # ---- seeds and other generators -------------------------------------------------------
    def make_seeds(self, count: int = 1) -> Tensor:
        """`count` seeds for stateless ops, one per column: int64 (2, count)."""
        keys = self.uniform_full_int([count], dt.int64)
        return stack([keys, math.multiply(keys, 0)])

    def split(self, count: int = 1) -> list[Generator]:
        """`count` generators with keys drawn from this one."""
        size = _state_size(self._alg)
        keys = self.uniform_full_int([count], dt.int64).numpy()  # type: ignore[attr-defined]
        return [Generator(state=[0] * (size - 1) + [int(k)], alg=self._alg) for k in keys]


_global_generator: Generator | None = None


def get_global_generator() -> Generator:
    """The generator of the process, made at an arbitrary state on first use."""
    global _global_generator
    if _global_generator is None:
        with init_scope():
            _global_generator = Generator.from_non_deterministic_state()
    return _global_generator


def set_global_generator(generator: Generator) -> None:
    """Replaces the generator of the process."""
    global _global_generator
    _global_generator = generator
