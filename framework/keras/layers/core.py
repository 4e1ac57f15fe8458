"""Dense, Activation, Flatten, Reshape and the like."""

from __future__ import annotations

import math as python_math
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest, nn
from shardtape.context import state
from shardtape.experimental.extension_type import ExtensionTypeSpec
from shardtape.graph.func_graph import TensorSpec
from shardtape.keras import activations, constraints, initializers, regularizers
from shardtape.keras.floatx import floatx
from shardtape.keras.image_layout import layout_of
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.symbolic import composite_input, is_keras_tensor, symbolic_input
from shardtape.ops.array import expand_dims, identity, reshape, shape, tile, transpose
from shardtape.ops.cast import cast
from shardtape.ops.contraction import tensordot
from shardtape.ops.linalg import matmul
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.shapes import TensorShape
from shardtape.sparse.arithmetic import sparse_dense_matmul
from shardtape.sparse_tensor import SparseTensorSpec
from shardtape.tensor import SymbolicTensor, Tensor
from shardtape.type_spec import composite_spec
from shardtape.variable import Variable


class InputLayer(Layer):
    """The entrance of a model; see `Input`."""

    def __init__(
        self,
        input_shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        input_tensor: Any = None,
        sparse: bool | None = None,
        name: str | None = None,
        ragged: bool | None = None,
        type_spec: Any = None,
        **kwargs: Any,
    ) -> None:
        if input_tensor is not None:
            input_shape, batch_size, dtype, kwargs = None, None, _dtype_of(input_tensor, dtype), {}
            sparse, ragged, type_spec = None, None, composite_spec(input_tensor)
            if type_spec is None:
                kwargs["batch_input_shape"] = tuple(input_tensor.shape)
            else:
                dtype = None  # the spec says it
        if isinstance(type_spec, dict):  # of a configuration
            from shardtape.keras.saving.spec_forms import spec_of

            type_spec = spec_of(type_spec)
        self._type_spec = type_spec
        if type_spec is not None:
            given = {"(input_)shape": input_shape or kwargs.get("batch_input_shape"),
                     "batch_size": batch_size, "dtype": dtype, "sparse": sparse,
                     "ragged": ragged}  # fmt: skip
            for argument, value in given.items():
                if value is not None:
                    raise ValueError(
                        "When `type_spec` is not None, all other args except `name` must be None, "
                        f"but {argument} is not None."
                    )
            kwargs, dtype, sparse, ragged = _told_by(type_spec)
        if sparse and ragged:
            raise ValueError("Cannot set both sparse and ragged to True in a Keras input.")
        self.sparse, self.ragged = bool(sparse), bool(ragged)
        full = kwargs.pop("batch_input_shape", None)
        if "shape" in kwargs:
            input_shape = kwargs.pop("shape")
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {list(kwargs)}")
        if full is None:
            sizes = [input_shape] if isinstance(input_shape, int) else input_shape
            full = None if sizes is None else (batch_size, *tuple(sizes))
        else:
            full = tuple(full)
        super().__init__(
            name=name or _input_name(), dtype=dtype or floatx(),
            **({} if full is None else {"batch_input_shape": full}),
        )  # fmt: skip
        self.is_placeholder = True
        self.built = True
        spec = type_spec
        if spec is None and full is not None and (sparse or ragged):
            spec = _spec_of(full, self._dtype, ragged)
        if spec is None or isinstance(spec, TensorSpec):
            self._tensor = symbolic_input(full, self._dtype, self._name, self)
        else:
            self._tensor = composite_input(spec, self._name, self)

    def call(self, inputs: Any) -> Any:
        return inputs

    @property
    def input(self) -> Any:
        return self._tensor

    @property
    def output(self) -> Any:
        return self._tensor

    @property
    def input_shape(self) -> Any:
        """A list of one shape, as Keras has it of this layer alone."""
        return [tuple(self._tensor.shape)]

    output_shape = input_shape

    def get_config(self) -> dict[str, Any]:
        if isinstance(self._type_spec, ExtensionTypeSpec):
            from shardtape.keras.saving.spec_forms import spec_form

            return {"name": self._name, "type_spec": spec_form(self._type_spec)}
        return {
            "batch_input_shape": self._batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self._name,
        }


def _told_by(spec: Any) -> tuple[dict[str, Any], Any, bool, bool]:
    """(shape as an argument, dtype, whether sparse, whether ragged) of a spec."""
    if isinstance(spec, ExtensionTypeSpec):
        shape = getattr(spec, "shape", None)
        if not isinstance(shape, TensorShape) or shape.rank is None:
            return {}, None, False, False
        return {"batch_input_shape": tuple(shape)}, None, False, False
    if not isinstance(spec, (TensorSpec, RaggedTensorSpec, SparseTensorSpec)):
        raise ValueError(f"`type_spec` must be the spec of tensors, got {spec!r}")
    sparse, ragged = isinstance(spec, SparseTensorSpec), isinstance(spec, RaggedTensorSpec)
    full = {} if spec.shape.rank is None else {"batch_input_shape": tuple(spec.shape)}
    return full, spec.dtype, sparse, ragged


def _spec_of(shape: tuple[Any, ...], dtype: Any, ragged: bool | None) -> Any:
    if not ragged:
        return SparseTensorSpec(shape, dtype)
    rank = sum(size is None for size in shape[1:])  # of unknown sizes are the rows
    return RaggedTensorSpec(shape, dtype, ragged_rank=max(rank, 1))


def _input_name() -> str:
    from shardtape.keras.naming import unique_object_name

    return unique_object_name("input", zero_based=False)


def _dtype_of(tensor: Any, dtype: Any) -> Any:
    """The dtype of a given tensor. Raises ValueError if another was asked for."""
    if is_keras_tensor(tensor):
        raise NotImplementedError(
            "Input(tensor=...) takes a tensor that has a value: what layers gave is an input of "
            "a model as it is, `Model(inputs=tensor, ...)`"
        )
    if not isinstance(tensor, (Tensor, Variable)) and composite_spec(tensor) is None:
        raise TypeError(f"Input(tensor=...) takes a tensor, got {type(tensor).__name__}")
    if dtype is not None and dt.as_dtype(dtype) is not tensor.dtype:
        raise ValueError(
            "`input_tensor.dtype` differs from `dtype`. Received: input_tensor.dtype="
            f"{tensor.dtype!r} but expected dtype={dtype}"
        )
    return tensor.dtype


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    tensor: Any = None,
    ragged: bool | None = None,
    type_spec: Any = None,
    batch_shape: Any = None,
    **kwargs: Any,
) -> SymbolicTensor:
    """A symbolic tensor to call layers on, from which `Model(inputs, outputs)` is made.

    Args:
      shape: sizes without the batch.
      batch_size: its size, if it is fixed.
      dtype: default float32.
      sparse, ragged: the model is given such tensors.
      tensor: a tensor whose shape and type these are, in place of all others but the name.
      type_spec: all of this but the name as a spec, which may be that of an extension type.
      batch_shape: the shape with the batch, instead of both.
    """
    full = kwargs.pop("batch_input_shape", batch_shape)
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {list(kwargs)}")
    if shape is None and full is None and type_spec is None and tensor is None:
        raise ValueError(
            "Please provide to Input a `shape` or a `tensor` or a `type_spec` argument. Note that "
            "`shape` does not include the batch dimension."
        )
    layer = InputLayer(
        None if shape is None else shape, batch_size, dtype, tensor, sparse, name, ragged,
        type_spec, **({} if full is None else {"batch_input_shape": full}),
    )  # fmt: skip
    return layer.output


class Dense(Layer):
    """activation(inputs @ kernel + bias) on the last axis.

    Args:
      units: size of the last axis of the outputs.
      activation: name or function; None leaves the sums.
      use_bias: whether there is a bias.
      *_initializer, *_regularizer, *_constraint: names or objects.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = int(units) if not isinstance(units, int) else units
        if self.units < 0:
            raise ValueError(
                "Received an invalid value for `units`, expected a positive integer. Received: "
                f"units={units}"
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        last = TensorShape(input_shape)[-1]
        if not (self._dtype.is_floating or self._dtype.is_complex):
            raise TypeError(
                "A Dense layer can only be built with a floating-point dtype. Received: "
                f"dtype={self._dtype!r}"
            )
        if last is None:
            raise ValueError(
                "The last dimension of the inputs to a Dense layer should be defined. Found None. "
                f"Full input shape received: {input_shape}"
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: last})
        self.kernel = self.add_weight(
            "kernel", [last, self.units], initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", [self.units], initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        if hasattr(inputs, "flat_values"):
            if inputs.shape[-1] is None:
                raise ValueError(
                    f"The last dimension of a ragged input of {self.name!r} is ragged: Dense needs "
                    "one size there"
                )
            return inputs.with_flat_values(self.call(inputs.flat_values))
        if inputs.dtype is not self._dtype:
            inputs = cast(inputs, self._dtype)
        if hasattr(inputs, "dense_shape"):
            outputs = sparse_dense_matmul(inputs, self.kernel)
        elif inputs.shape.rank in (2, None):
            outputs = matmul(inputs, self.kernel)
        else:
            outputs = tensordot(inputs, self.kernel, [[inputs.shape.rank - 1], [0]])
        if self.use_bias:
            outputs = nn.bias_add(outputs, self.bias)
        if self.activation not in (None, activations.linear):
            outputs = self.activation(outputs)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        shape = TensorShape(input_shape).with_rank_at_least(2)
        if shape[-1] is None:
            raise ValueError(
                "The last dimension of the input shape of a Dense layer should be defined. Found "
                f"None. Received: input_shape={input_shape}"
            )
        return shape[:-1].concatenate([self.units])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **weight_config(self, "kernel", "bias", activity=True),
        }


def weight_config(layer: Any, *names: str, activity: bool = False) -> dict[str, Any]:
    """Initializers, regularizers and constraints of weights, fit for JSON, in Keras's order.

    Args:
      activity: with the regularizer of the outputs.
    """
    of = {
        kind: {f"{n}_{kind}": module.serialize(getattr(layer, f"{n}_{kind}")) for n in names}
        for kind, module in (("initializer", initializers), ("regularizer", regularizers),
                             ("constraint", constraints))
    }  # fmt: skip
    if activity:
        of["regularizer"]["activity_regularizer"] = regularizers.serialize(
            layer._activity_regularizer
        )
    return {**of["initializer"], **of["regularizer"], **of["constraint"]}


class Activation(Layer):
    """An activation function, by name or as a function."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Tensor:
        if hasattr(inputs, "flat_values") and self.activation is not activations.softmax:
            return inputs.with_flat_values(self.activation(inputs.flat_values))
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Flatten(Layer):
    """(batch, ...) to (batch, all the rest)."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = layout_of(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Tensor:
        rank = inputs.shape.rank
        if self.data_format == "channels_first" and rank is not None and rank > 2:
            inputs = transpose(inputs, [0, *range(2, rank), 1])
        if rank == 1:
            return expand_dims(inputs, -1)
        if rank is None:
            return reshape(inputs, [shape(inputs)[0], -1])
        sizes = inputs.shape.as_list()
        rest = sizes[1:]
        if None not in rest:
            return reshape(inputs, [-1, python_math.prod(rest)])
        if sizes[0] is not None:
            return reshape(inputs, [sizes[0], -1])
        return reshape(inputs, [shape(inputs)[0], -1])

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        rest = None if None in dims[1:] else python_math.prod(dims[1:])  # type: ignore[type-var]
        return TensorShape([dims[0], rest])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """(batch, ...) to (batch, *target_shape); one size may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(int(d) for d in target_shape)

    def call(self, inputs: Any) -> Tensor:
        rest: Any = inputs.shape.as_list()[1:] if inputs.shape.rank is not None else [None]
        target = list(self.target_shape)
        if None not in rest:
            try:
                target = self._known(rest)
            except ValueError:
                if state.graph is not None:
                    raise
                return reshape(inputs, [inputs.shape[0], *target])  # the op refuses the values
        if -1 not in target:
            return reshape(inputs, [-1, *target])
        return reshape(inputs, [shape(inputs)[0], *target])

    def _known(self, rest: list[int]) -> list[int]:
        """The target with -1 worked out. Raises ValueError where the sizes do not fit."""
        total, target = python_math.prod(rest), list(self.target_shape)
        known = python_math.prod(d for d in target if d != -1)
        fits = total == known if -1 not in target else known and total % known == 0
        if not fits or target.count(-1) > 1:
            raise ValueError(
                f"total size of new array must be unchanged, input_shape = {rest}, "
                f"output_shape = {target}"
            )
        return [total // known if d == -1 else d for d in target]

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        if None in dims[1:]:
            return TensorShape([dims[0], *[None if d == -1 else d for d in self.target_shape]])
        return TensorShape([dims[0], *self._known(dims[1:])])  # type: ignore[arg-type]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """Reorders the axes after the batch; `dims` counts from 1."""

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Tensor:
        return transpose(inputs, [0, *self.dims])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


class Identity(Layer):
    """The inputs as they are."""

    def call(self, inputs: Any) -> Any:
        return nest.map_structure(identity, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"Expected an integer value for `n`, got {type(n)}.")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Tensor:
        return tile(expand_dims(inputs, 1), [1, self.n, 1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
