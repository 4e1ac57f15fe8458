"""Operations between layers of a functional model, as Keras writes them: `TFOpLambda` layers.

Keras names the public function and its arguments (`math.multiply`, `y`); here a symbolic tensor
holds the op (`Mul`) and its inputs. The table below says which op is which function.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from shardtape.keras.function_calls import PART, RAGGED_PART, FunctionCall
from shardtape.keras.symbolic import keras_graph
from shardtape.ops.registry import Op

CLASSES = ("TFOpLambda", "SlicingOpLambda")


class Written(NamedTuple):
    """An op as Keras writes it.

    Attributes:
      function: the public name.
      tensors: the arguments' names for the op's inputs; None leaves the input out.
      attrs: the arguments' names for the op's attributes.
      first: which of the inputs is the function's first argument.
      single: so many inputs at the end are arguments of their own, those before are one list, as
        `concat` takes them; None where no inputs are a list.
    """

    function: str
    tensors: tuple[str | None, ...] = ("x",)
    attrs: dict[str, str] = {}
    single: int | None = None
    first: int = 0


def _binary(function: str) -> Written:
    return Written(function, ("x", "y"))


_REDUCING = {"keep_dims": "keepdims"}
_WRITTEN: dict[str, Written] = {
    "Add": _binary("__operators__.add"), "AddV2": _binary("__operators__.add"),
    "Sub": _binary("math.subtract"), "Mul": _binary("math.multiply"),
    "RealDiv": _binary("math.truediv"), "FloorDiv": _binary("math.floordiv"),
    "FloorMod": _binary("math.floormod"), "Pow": _binary("math.pow"),
    "Maximum": _binary("math.maximum"), "Minimum": _binary("math.minimum"),
    "Greater": _binary("math.greater"), "GreaterEqual": _binary("math.greater_equal"),
    "Less": _binary("math.less"), "LessEqual": _binary("math.less_equal"),
    "SquaredDifference": _binary("math.squared_difference"),
    **{
        name: Written(f"math.{function}")
        for name, function in (
            ("Neg", "negative"), ("Abs", "abs"), ("Square", "square"), ("Sqrt", "sqrt"),
            ("Rsqrt", "rsqrt"), ("Exp", "exp"), ("Log", "log"), ("Sin", "sin"), ("Cos", "cos"),
            ("Tanh", "tanh"), ("Sigmoid", "sigmoid"), ("Floor", "floor"), ("Ceil", "ceil"),
            ("Round", "round"), ("Sign", "sign"), ("Erf", "erf"), ("Log1p", "log1p"),
            ("Expm1", "expm1"), ("Reciprocal", "reciprocal"), ("LogicalNot", "logical_not"),
        )
    },
    "LogicalAnd": _binary("math.logical_and"), "LogicalOr": _binary("math.logical_or"),
    "DivNoNan": _binary("math.divide_no_nan"),
    "Relu6": Written("nn.relu6", ("features",)), "Selu": Written("nn.selu", ("features",)),
    "Relu": Written("nn.relu", ("features",)),
    "Softplus": Written("math.softplus", ("features",)),
    "Sum": Written("math.reduce_sum", ("input_tensor", "axis"), _REDUCING),
    "Mean": Written("math.reduce_mean", ("input_tensor", "axis"), _REDUCING),
    "Max": Written("math.reduce_max", ("input_tensor", "axis"), _REDUCING),
    "Min": Written("math.reduce_min", ("input_tensor", "axis"), _REDUCING),
    "Prod": Written("math.reduce_prod", ("input_tensor", "axis"), _REDUCING),
    "Any": Written("math.reduce_any", ("input_tensor", "axis"), _REDUCING),
    "All": Written("math.reduce_all", ("input_tensor", "axis"), _REDUCING),
    "ArgMax": Written("math.argmax", ("input", "axis"), {"output_type": "output_type"}),
    "ArgMin": Written("math.argmin", ("input", "axis"), {"output_type": "output_type"}),
    "TopKV2": Written("math.top_k", ("input", "k"), {"sorted": "sorted"}),
    "Cumsum": Written("math.cumsum", ("x", "axis"), {n: n for n in ("exclusive", "reverse")}),
    "Shape": Written("compat.v1.shape", ("input",), {"out_type": "out_type"}),
    "Size": Written("compat.v1.size", ("input",), {"out_type": "out_type"}),
    "StopGradient": Written("stop_gradient", ("input",)),
    "ZerosLike": Written("zeros_like", ("input",)), "OnesLike": Written("ones_like", ("input",)),
    "Split": Written("split", ("axis", "value"), {"num_split": "num_or_size_splits"}, first=1),
    "SplitV": Written("split", ("value", "num_or_size_splits", "axis")),
    "Unpack": Written("unstack", ("value",), {"num": "num", "axis": "axis"}),
    "OneHot": Written(
        "one_hot", ("indices", "depth", "on_value", "off_value"), {"axis": "axis"}
    ),
    "ReverseV2": Written("reverse", ("tensor", "axis")),
    "Slice": Written("slice", ("input_", "begin", "size")),
    "Equal": _binary("math.equal"), "NotEqual": _binary("math.not_equal"),
    "Softmax": Written("nn.softmax", ("logits",)),
    "LogSoftmax": Written("nn.log_softmax", ("logits",)),
    "Elu": Written("nn.elu", ("features",)),
    "LeakyRelu": Written("nn.leaky_relu", ("features",), {"alpha": "alpha"}),
    "Identity": Written("identity", ("input",)), "Cast": Written("cast", attrs={"DstT": "dtype"}),
    "SelectV2": Written("where", ("condition", "x", "y")),
    "MatMul": Written(
        "linalg.matmul", ("a", "b"), {n: n for n in ("transpose_a", "transpose_b")}
    ),
    "BatchMatMulV2": Written(
        "linalg.matmul", ("a", "b"), {"adj_x": "adjoint_a", "adj_y": "adjoint_b"}
    ),
    "Squeeze": Written("compat.v1.squeeze", ("input",), {"squeeze_dims": "axis"}),
    "Tile": Written("tile", ("input", "multiples")),
    "GatherV2": Written(
        "compat.v1.gather", ("params", "indices", "axis"), {"batch_dims": "batch_dims"}
    ),
    "Pad": Written("compat.v1.pad", ("tensor", "paddings")),
    "Reshape": Written("reshape", ("tensor", "shape")),
    "Transpose": Written("compat.v1.transpose", ("a", "perm")),
    "ExpandDims": Written("expand_dims", ("input", "axis")),
    "StridedSlice": Written(
        "strided_slice", ("input_", "begin", "end", "strides"),
        {n: n for n in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask",
                        "shrink_axis_mask")},
    ),
    "ConcatV2": Written("concat", ("values", "axis"), single=1),
    "Pack": Written("stack", ("values",), {"axis": "axis"}, single=0),
    "AddN": Written("math.add_n", ("inputs",), single=0),
}  # fmt: skip


def function_of(op_type: str) -> str | None:
    """The public function that a single op is written as; None where Keras has none."""
    found = _WRITTEN.get(op_type)
    return None if found is None else found.function


def written(op_type: str, inputs: list[Any], attrs: dict[str, Any]) -> tuple[str, Any, Any] | None:
    """(function, first argument, keyword arguments) of an op; None where Keras has no words for it.

    Args:
      inputs: symbolic tensors, and arrays for constants.
    """
    how = _WRITTEN.get(op_type)
    if how is None:
        return None
    if how.single is not None:
        listed = len(inputs) - how.single
        inputs = [inputs[:listed], *inputs[listed:]]
    if len(inputs) != len(how.tensors):
        return None
    named: dict[str, Any] = {}
    for i, (name, value) in enumerate(zip(how.tensors, inputs)):
        if name is not None and i != how.first:
            named[name] = plain(value)
    for name, argument in how.attrs.items():
        if name in attrs:
            named[argument] = attrs[name]
    return how.function, plain(inputs[how.first]), named


# Operations which the public function does to ragged rows, and the operation alone does not.
_SHAPING = (
    "ConcatV2", "ExpandDims", "GatherV2", "OneHot", "Pack", "ReverseV2", "Size", "Split", "SplitV",
    "Squeeze", "StridedSlice", "Tile", "Unpack",
)  # fmt: skip


def is_shaping(op_type: str) -> bool:
    """Whether `shaped` knows an operation."""
    return op_type in _SHAPING


def shaped(op: Op, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """What the public function of an operation gives for values, some of which are ragged."""
    if op.type == "StridedSlice":
        spec = slice_spec(list(inputs), attrs)
        if spec is not None:
            return _part(inputs[0], spec)
    how = _WRITTEN[op.type]
    values: list[Any] = [
        _number(x) if op.is_host(i, len(inputs)) else x for i, x in enumerate(inputs)
    ]
    if how.single is not None:
        listed = len(values) - how.single
        values = [values[:listed], *[_number(x) for x in values[listed:]]]
    named = {n: v for i, (n, v) in enumerate(zip(how.tensors, values)) if n and i != how.first}
    named.update((to, attrs[n]) for n, to in how.attrs.items() if n in attrs)
    function = public(how.function)
    assert function is not None, how.function
    return call(function, values[how.first], named)


def _number(value: Any) -> Any:
    return value.numpy().tolist() if hasattr(value, "_array") else value


def plain(value: Any) -> Any:
    """A constant as numbers, where numbers are all that it is; tensors as they are.

    Raises TypeError for a constant whose type would be lost.
    """
    array = getattr(value, "_array", value)
    if not isinstance(array, (np.ndarray, np.generic)):
        return value
    kind = np.asarray(array).dtype
    if kind.kind not in "ifb" or np.size(array) > 4096:
        raise TypeError(f"a constant of type {kind} and shape {np.shape(array)} stays as it is")
    return np.asarray(array).tolist()


class Named(NamedTuple):
    """A function that was read from a configuration, and how the layer of its call is shown."""

    function: Callable[..., Any]
    shown: FunctionCall

    def on(self, first: Any, kwargs: dict[str, Any]) -> Any:
        """Calls it on symbolic tensors."""
        self.shown.given = self._named(first, kwargs)
        with keras_graph().as_call(self.shown):
            return call(self.function, first, kwargs)

    def _named(self, first: Any, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        if isinstance(self.function, Op):
            names = list(self.function.input_names)
        elif self.function in (_part, *_OPERATORS.values()):
            return None
        else:
            names = list(inspect.signature(self.function).parameters)
        given = {k: v for k, v in kwargs.items() if k != "name" and v is not None}
        return {names[0]: first, **given} if names else None


def named(entry: dict[str, Any]) -> Named:
    """The function of a layer's entry. Raises ValueError for an unknown one."""
    config = entry["config"]
    function = made(entry["class_name"], config)
    slices = entry["class_name"] == "SlicingOpLambda"
    return Named(function, FunctionCall(str(config.get("function")), entry["name"], slices))


def made(class_name: str, config: dict[str, Any]) -> Callable[..., Any]:
    """The function that a `TFOpLambda` layer stands for. Raises ValueError for an unknown one."""
    name = config.get("function")
    if name in (PART, RAGGED_PART) or (class_name == "SlicingOpLambda" and name is None):
        return _part
    found = public(str(name))
    if found is None:
        raise ValueError(
            f"Unknown object: the layer {config.get('name')!r} calls `tf.{name}`, which is not "
            "there. Build the model by its code and take over its weights with `load_weights`."
        )
    return found


_OPERATORS = {
    "add": operator.add, "eq": operator.eq, "ne": operator.ne, "sub": operator.sub,
    "mul": operator.mul,
}  # fmt: skip
_ALIASES = {
    "compat.v1.floor_div": "math.floordiv",
    "compat.v1.nn.softmax_cross_entropy_with_logits_v2": "nn.softmax_cross_entropy_with_logits",
}


def public(name: str) -> Callable[..., Any] | None:
    """The function of a public name, without "tf."; None where there is none."""
    import shardtape

    if name.startswith("__operators__."):
        return _OPERATORS.get(name.removeprefix("__operators__."))
    found: Any = shardtape
    name = _ALIASES.get(name, name)
    for part in name.removeprefix("compat.v1.").split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found if callable(found) else None


def call(function: Callable[..., Any], first: Any, kwargs: dict[str, Any]) -> Any:
    """Calls a function of `made`; arguments that it does not know and that say nothing go."""
    if function is _part:
        return _part(first, **kwargs)
    if function in _OPERATORS.values():
        return function(first, kwargs["y"])
    if isinstance(function, Op):
        names = {*function.input_names, *function.attr_defaults}
    else:
        names = set(inspect.signature(function).parameters)
    given = {
        k: v for k, v in kwargs.items()
        if k != "name" and (k in names or (v is not None and v is not False))
    }  # fmt: skip
    return function(first, **given)


def _part(x: Any, slice_spec: Any = None, key: Any = None) -> Any:
    slice_spec = key if slice_spec is None else slice_spec
    items = slice_spec if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    return x[tuple(_index(i) for i in items)]


def slice_spec(inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """What was written between the brackets of an indexed tensor, as Keras writes it.

    Args:
      inputs: of the op `StridedSlice`; arrays for constants.
      attrs: its masks.

    Returns None where the bounds are tensors.
    """
    bounds = [getattr(t, "_array", t) for t in inputs[1:]]
    if not all(isinstance(b, np.ndarray) for b in bounds):
        return None
    spec: list[Any] = []
    for i, (begin, end, step) in enumerate(zip(*[b.tolist() for b in bounds])):
        masked = {name for name in _MASKS if attrs[name] >> i & 1}
        if "ellipsis_mask" in masked:
            spec.append(Ellipsis)
        elif "new_axis_mask" in masked:
            spec.append(None)
        elif "shrink_axis_mask" in masked:
            spec.append(begin)
        else:
            spec.append({
                "start": None if "begin_mask" in masked else begin,
                "stop": None if "end_mask" in masked else end,
                "step": None if step == 1 else step,
            })  # fmt: skip
    return spec[0] if len(spec) == 1 else spec


_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _index(item: Any) -> Any:
    if isinstance(item, dict) and set(item) == {"start", "stop", "step"}:
        return slice(item["start"], item["stop"], item["step"])
    return item
