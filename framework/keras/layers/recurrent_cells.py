"""What recurrent layers do at one step: SimpleRNNCell, LSTMCell, GRUCell."""

from __future__ import annotations

from typing import Any

from shardtape import nest, nn
from shardtape.backend.random import get_seed
from shardtape.context import state
from shardtape.keras import activations, constraints, initializers, regularizers
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.core import weight_config
from shardtape.keras.random_seed import RandomGenerator
from shardtape.ops.array import concat, ones_like, shape, split, zeros
from shardtape.ops.cast import cast
from shardtape.ops.contraction import tensordot
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.gru import gru_sequence
from shardtape.ops.linalg import matmul
from shardtape.ops.lstm import lstm_sequence
from shardtape.ops.recurrent_derivatives import absent
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class AbstractRNNCell(Layer):
    """Base of cells: `call(self, inputs, states) -> (output, new states)`.

    Subclasses define `state_size` and `output_size` (an int, a shape, or several).
    """

    @property
    def state_size(self) -> Any:
        raise NotImplementedError

    @property
    def output_size(self) -> Any:
        raise NotImplementedError

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        """Zeros for a batch, which `inputs` or `batch_size` and `dtype` tell."""
        return zero_states(self.state_size, inputs, batch_size, dtype)


def zero_states(
    state_size: Any, inputs: Any = None, batch_size: Any = None, dtype: Any = None
) -> Any:
    """Zeros (batch, size) for each size. Raises ValueError without a batch size and dtype."""
    if inputs is not None:
        batch_size, dtype = shape(inputs)[0], inputs.dtype
    if batch_size is None or dtype is None:
        raise ValueError(
            "batch_size and dtype cannot be None while constructing initial state. Received: "
            f"batch_size={batch_size}, dtype={dtype}"
        )

    def make(size: Any) -> Tensor:
        return zeros([batch_size, *TensorShape(size).as_list()], dtype)

    if isinstance(state_size, TensorShape) or not nest.is_nested(state_size):
        return make(state_size)
    kind = list if isinstance(state_size, list) else type(state_size)  # no list of a layer's own
    return kind(
        zero_states(s, None, batch_size, dtype) for s in state_size
    )  # sizes may be shapes, which are no structures


def is_several(state_size: Any) -> bool:
    """Whether a cell has a list of states, not one."""
    return hasattr(state_size, "__len__") and not isinstance(state_size, TensorShape)


class GateCell(Layer):
    """A cell whose gates are `_gates` columns of one kernel.

    `project` is the part that knows the inputs only, and runs on whole sequences at once;
    `advance` is the rest of a step.
    """

    _gates = 1
    _defaults: dict[str, Any] = {}

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if units <= 0:
            raise ValueError(
                "Received an invalid value for argument `units`, expected a positive integer, got "
                f"{units}."
            )
        kwargs.pop("enable_caching_device", None)
        super().__init__(**kwargs)
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.seed = seed
        self._random_generator = RandomGenerator(seed)
        self._masks: dict[str, tuple[Any, list[Any]]] = {}
        self.state_size: Any = units
        self.output_size = units

    _unseen = Layer._unseen | {"_masks"}

    # ---- weights ----------------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        features = TensorShape(input_shape)[-1]
        width = self._gates * self.units
        self.kernel = self.add_weight(
            "kernel", (features, width), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.recurrent_kernel = self.add_weight(
            "recurrent_kernel", (self.units, width), initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", self._bias_shape(), initializer=self._bias_start(),
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.built = True

    def _bias_shape(self) -> tuple[int, ...]:
        return (self._gates * self.units,)

    def _bias_start(self) -> Any:
        return self.bias_initializer

    # ---- a step -----------------------------------------------------------------------------
    def call(self, inputs: Any, states: Any, training: Any = None) -> tuple[Any, Any]:
        nested = nest.is_nested(states)
        given = list(states) if nested else [states]
        self.prepare(inputs, given[0], training)
        output, new = self.advance(self.project(inputs), given)
        return output, new if nested else new[0]

    def project(self, inputs: Any) -> Tensor:
        """Inputs (..., features) times the kernel, with the bias: (..., gates x units)."""
        x = self._times(inputs, self.kernel, self._mask("inputs"))
        bias = self._input_bias()
        return x if bias is None else nn.bias_add(x, bias)

    def _input_bias(self) -> Any:
        return self.bias

    def advance(self, projected: Any, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """(output, new states) from what `project` gave."""
        raise NotImplementedError

    def offers_sequence(self, training: Any) -> bool:
        """Whether `sequence` computes what repeated calls do: for Keras's usual activations."""
        return False

    def sequence(self, projected: Any, states: list[Any], mask: Any) -> tuple[Tensor, list[Any]]:
        """(outputs, last states) of all steps in one op.

        Args:
          projected: what `project` gave for [steps, batch, features].
          mask: [steps, batch] of bool, or None.
        """
        raise NotImplementedError

    def _is_usual(self, cls: type, training: Any) -> bool:
        own = type(self)
        plain = own.call is GateCell.call and own.advance is cls.advance  # type: ignore[attr-defined]
        usual = self.activation is activations.tanh and (
            self.recurrent_activation is activations.sigmoid  # type: ignore[attr-defined]
        )
        drops = self.recurrent_dropout and training is not False and training is not None
        return plain and own.project is GateCell.project and usual and not drops

    def _recur(self, h: Any) -> Tensor:
        """The last output times the recurrent kernel."""
        return self._times(h, self.recurrent_kernel, self._mask("recurrent"))

    def _times(self, x: Any, kernel: Any, masks: list[Any]) -> Tensor:
        product = matmul if x.shape.rank == 2 else _last_axis_product
        if not masks:
            return product(x, kernel)
        if len(masks) == 1:
            return product(x * masks[0], kernel)
        columns = split(kernel, self._gates, axis=1)
        return concat([product(x * m, k) for m, k in zip(masks, columns)], -1)

    # ---- dropout ----------------------------------------------------------------------------
    def prepare(self, inputs: Any, h: Any, training: Any) -> None:
        """Draws the masks that all steps of a sequence share, unless they are drawn.

        Args:
          inputs, h: of one step; only their shapes count.
        """
        for what, like, rate in (("inputs", inputs, self.dropout),
                                 ("recurrent", h, self.recurrent_dropout)):  # fmt: skip
            if not training or not 0 < rate < 1:
                self._masks.pop(what, None)
            elif not self._mask(what):
                self._masks[what] = state.graph, self._drawn(like, rate)

    def draws(self, training: Any) -> bool:
        """Whether a step in this mode has masks."""
        return bool(training) and (0 < self.dropout < 1 or 0 < self.recurrent_dropout < 1)

    def drop_whole(self, inputs: Any, training: Any) -> Any:
        """A whole sequence times a mask of its own size, in training."""
        if not training or not 0 < self.dropout < 1:
            return inputs
        return inputs * self._drawn(inputs, self.dropout)[0]

    def _drawn(self, like: Any, rate: float) -> list[Any]:
        """A mask for each gate, or one for all where the gates share one product.

        Keras draws one for each gate in any case: the seeds of those that are not used are taken.
        """
        shared = getattr(self, "implementation", 1) == 2
        ones, masks = ones_like(like), []
        for gate in range(self._gates):
            seed = self._random_generator.make_legacy_seed()
            if gate and shared:
                get_seed(seed)
            else:
                masks.append(nn.dropout(ones, rate, seed=seed))
        return masks

    def _mask(self, what: str) -> list[Any]:
        """Masks that were drawn in this graph; the body of a loop draws its own at each step."""
        home, masks = self._masks.get(what, (None, []))
        return masks if home is state.graph else []

    def forget_seed(self) -> None:
        """Draws masks as a cell does that was given no seed."""
        self.seed, self._random_generator = None, RandomGenerator(None)

    def reset_dropout_mask(self) -> None:
        """The next step draws a new mask for its inputs."""
        self._masks.pop("inputs", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """The next step draws a new mask for its state."""
        self._masks.pop("recurrent", None)

    # ---- description ------------------------------------------------------------------------
    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        """Zeros for a batch, which `inputs` or `batch_size` and `dtype` tell."""
        return zero_states(self.state_size, inputs, batch_size, dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            **self._gate_config(),
            "use_bias": self.use_bias,
            **weight_config(self, "kernel", "recurrent", "bias"),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }

    def _gate_config(self) -> dict[str, Any]:
        """What stands before `use_bias`."""
        return {}


def _last_axis_product(x: Any, kernel: Any) -> Tensor:
    return tensordot(x, kernel, [[x.shape.rank - 1], [0]])


class SimpleRNNCell(GateCell):
    """output = activation(inputs @ kernel + state @ recurrent_kernel + bias), the next state."""

    def advance(self, projected: Any, states: list[Any]) -> tuple[Tensor, list[Any]]:
        h = self.activation(projected + self._recur(states[0]))
        return h, [h]


class LSTMCell(GateCell):
    """Long short-term memory; states are the output and the memory.

    Args:
      unit_forget_bias: the forget gate's bias starts with 1.
      implementation: taken for Keras's sake; results do not depend on it.
    """

    _gates = 4

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
        use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True, implementation: int = 2, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(units, activation, use_bias, kernel_initializer, recurrent_initializer,
                         bias_initializer, **kwargs)  # fmt: skip
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.implementation = 1 if self.recurrent_dropout else implementation
        self.state_size = [units, units]

    def _bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer

        def start(_shape: Any, *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
            units, given = self.units, self.bias_initializer
            return concat(
                [
                    given((units,), dtype=dtype),
                    initializers.get("ones")((units,), dtype=dtype),
                    given((units * 2,), dtype=dtype),
                ],
                0,
            )

        return start

    def offers_sequence(self, training: Any) -> bool:
        return self._is_usual(LSTMCell, training)

    def sequence(self, projected: Any, states: list[Any], mask: Any) -> tuple[Tensor, list[Any]]:
        recurrent = convert_to_tensor(self.recurrent_kernel)
        h, memory = states
        outputs, h, memory, _, _ = lstm_sequence(
            projected, recurrent, h, memory, _mask_of(mask, projected)
        )
        return outputs, [h, memory]

    def advance(self, projected: Any, states: list[Any]) -> tuple[Tensor, list[Any]]:
        h, memory = states
        gate = self.recurrent_activation
        i, f, candidate, o = split(projected + self._recur(h), 4, axis=1)
        memory = gate(f) * memory + gate(i) * self.activation(candidate)
        h = gate(o) * self.activation(memory)
        return h, [h, memory]

    def _gate_config(self) -> dict[str, Any]:
        return {"recurrent_activation": activations.serialize(self.recurrent_activation)}

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for key, value in super().get_config().items():
            config[key] = value
            if key == "bias_initializer":
                config["unit_forget_bias"] = self.unit_forget_bias
        return {**config, "implementation": self.implementation}


class GRUCell(GateCell):
    """Gated recurrent unit.

    Args:
      reset_after: the reset gate acts after the recurrent product (as cuDNN does), which then has
        a bias of its own: the bias is (2, 3 x units).
    """

    _gates = 3

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
        use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros",
        reset_after: bool = True, implementation: int = 2, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(units, activation, use_bias, kernel_initializer, recurrent_initializer,
                         bias_initializer, **kwargs)  # fmt: skip
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after
        self.implementation = 1 if self.recurrent_dropout else implementation

    def _bias_shape(self) -> tuple[int, ...]:
        width = 3 * self.units
        return (2, width) if self.reset_after else (width,)

    def _input_bias(self) -> Any:
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def offers_sequence(self, training: Any) -> bool:
        return bool(self.reset_after) and self._is_usual(GRUCell, training)

    def sequence(self, projected: Any, states: list[Any], mask: Any) -> tuple[Tensor, list[Any]]:
        recurrent = convert_to_tensor(self.recurrent_kernel)
        if self.bias is None:
            bias = zeros([3 * self.units], projected.dtype)
        else:
            bias = self.bias[1]
        outputs, h, _, _ = gru_sequence(
            projected, recurrent, bias, states[0], _mask_of(mask, projected)
        )
        return outputs, [h]

    def advance(self, projected: Any, states: list[Any]) -> tuple[Tensor, list[Any]]:
        h, gate = states[0], self.recurrent_activation
        x_z, x_r, x_h = split(projected, 3, axis=1)
        if self.reset_after:
            inner = self._recur(h)
            if self.bias is not None:
                inner = nn.bias_add(inner, self.bias[1])
            inner_z, inner_r, inner_h = split(inner, 3, axis=1)
            z, r = gate(x_z + inner_z), gate(x_r + inner_r)
            candidate = self.activation(x_h + r * inner_h)
        else:
            k_z, k_r, k_h = split(convert_to_tensor(self.recurrent_kernel), 3, axis=1)
            m_z, m_r, m_h = self._gate_masks()
            z = gate(x_z + matmul(_masked(h, m_z), k_z))
            r = gate(x_r + matmul(_masked(h, m_r), k_r))
            candidate = self.activation(x_h + matmul(r * _masked(h, m_h), k_h))
        h = z * h + (1.0 - z) * candidate
        return h, [h]

    def _gate_masks(self) -> list[Any]:
        return self._mask("recurrent") or [None] * 3

    def _gate_config(self) -> dict[str, Any]:
        return {"recurrent_activation": activations.serialize(self.recurrent_activation)}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "implementation": self.implementation,
            "reset_after": self.reset_after,
        }


def _mask_of(mask: Any, projected: Any) -> Tensor:
    return absent(projected.dtype) if mask is None else cast(mask, projected.dtype)


def _masked(h: Any, mask: Any) -> Any:
    return h if mask is None else h * mask


def cell_output_size(cell: Any) -> Any:
    """A cell's output size; without one that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    return cell.state_size[0] if is_several(cell.state_size) else cell.state_size


def initial_state_of(cell: Any, inputs: Any, batch_size: Any, dtype: Any) -> Any:
    """What a cell says its first states are, or zeros."""
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return own(inputs=inputs, batch_size=batch_size, dtype=dtype)
    return zero_states(cell.state_size, inputs, batch_size, dtype)


def takes(cell: Any, argument: str) -> bool:
    """Whether a cell's `call` has an argument."""
    import inspect

    return argument in inspect.signature(cell.call).parameters
