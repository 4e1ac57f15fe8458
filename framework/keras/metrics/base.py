"""`Metric`: values that are gathered over batches; means and sums of them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.autograph import convert_in_graph
from shardtape.autograph.conversion import _MARK
from shardtape.graph.grouping import group
from shardtape.keras import initializers
from shardtape.keras.floatx import floatx
from shardtape.keras.losses.base import matched
from shardtape.keras.masks import mask_of, weights_under
from shardtape.keras.naming import snake_case, unique_object_name
from shardtape.module import Module
from shardtape.ops.array import broadcast_to, expand_dims, identity, shape, size, squeeze
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import div_no_nan
from shardtape.ops.reduce import reduce_mean, reduce_sum
from shardtape.replica_context import current_strategy, scopes
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable
from shardtape.variable_synchronization import VariableAggregation, VariableSynchronization

_IN_TENSORS = "_gives_tensors"  # the mark of what `in_tensors` has made


class Metric(Module):
    """Base of metrics; subclasses define `update_state` and `result`.

    Calling a metric updates its state and returns the result so far.
    """

    built = stateful = True

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        self._name = name or unique_object_name(snake_case(type(self).__name__))
        self._name_scope = self._name
        self._dtype = dt.as_dtype(floatx() if dtype is None else dtype)
        self._state: list[Variable] = []
        if current_strategy() is not None:
            self.result = MethodType(together(type(self).result), self)  # type: ignore

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # ours give tensors; a user's may give its Variables themselves
        if cls._results_are_converted and not cls.result.__module__.startswith("shardtape."):
            cls.result = in_tensors(cls.result)  # type: ignore[method-assign]

    _results_are_converted = True

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Takes in one batch."""
        raise NotImplementedError("Must be implemented in subclasses.")

    @property
    def variables(self) -> list[Variable]:
        """The Variables of the state, in the order of their creation."""
        return sorted(super().variables, key=lambda v: v._id)

    def result(self) -> Any:
        """The value of all batches since `reset_state`."""
        raise NotImplementedError("Must be implemented in subclasses.")

    def reset_state(self) -> None:
        """Forgets what was taken in."""
        for v in self.variables:
            v.assign(np.zeros(v.shape.as_list(), v.dtype.numpy_dtype))

    reset_states = reset_state

    def merge_state(self, metrics: Any) -> list[Any]:
        """Adds what other metrics of the same kind have taken in.

        Returns the Variables, once for each of the metrics. Raises ValueError for a metric whose
        state has another form.
        """
        merged: list[Any] = []
        for other in metrics:
            own, theirs = self.variables, other.variables
            fits = len(own) == len(theirs) and all(
                v.shape.as_list() == w.shape.as_list() for v, w in zip(own, theirs)
            )
            if not fits:
                raise ValueError(f"Metric {other!r} is not compatible with {self!r}")
            for variable, more in zip(own, theirs):
                merged.append(variable.assign_add(convert_to_tensor(more)))
        return merged

    def get_weights(self) -> list[Any]:
        """The values of `weights`."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets `weights` from arrays. Raises ValueError for another number of them."""
        given = list(weights)
        if len(given) != len(self.weights):
            raise ValueError(
                f"the metric {self._name} has {len(self.weights)} weights, got {len(given)}"
            )
        for variable, array in zip(self.weights, given):
            variable.assign(np.asarray(array, variable.dtype.numpy_dtype))

    @property
    def trainable_weights(self) -> list[Variable]:
        return []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return self.weights

    trainable_variables, non_trainable_variables = trainable_weights, non_trainable_weights

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        convert_in_graph(self.update_state)(*args, **kwargs)
        result = convert_in_graph(self.result)()
        self._gave = weakref.ref(result) if isinstance(result, Tensor) else None
        return result

    _gave: weakref.ref[Any] | None = None

    def gave(self, value: Any) -> bool:
        """Whether a tensor is the result of the latest call."""
        return self._gave is not None and self._gave() is value

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = (),
        aggregation: Any = None,
        synchronization: Any = None,
        initializer: Any = None,
        dtype: Any = None,
    ) -> Variable:
        """Makes a Variable of the metric's state.

        Args:
          aggregation, synchronization: by default each replica gathers by itself, and what is read
            outside of replicas is the sum.
        """
        dtype = self._dtype if dtype is None else dt.as_dtype(dtype)
        make = initializers.get("zeros" if initializer is None else initializer)
        variable = Variable(
            lambda: make(TensorShape(shape), dtype=dtype), trainable=False, name=name, dtype=dtype,
            aggregation=VariableAggregation.SUM if aggregation is None else aggregation,
            synchronization=synchronization or VariableSynchronization.ON_READ,
        )  # fmt: skip
        self._state.append(variable)
        return variable

    @property
    def dtype(self) -> str:
        return self._dtype.name

    @property
    def weights(self) -> list[Variable]:
        return list(self.variables)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {"name": self._name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __str__(self) -> str:
        inner = ",".join(f"{k}={v}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({inner})"


def together(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that in a replica waits for the others and runs once, on the state of all."""

    @functools.wraps(function)
    def merged(*args: Any, **kwargs: Any) -> Any:
        call = convert_in_graph(function)
        if scopes.replica is None:
            return call(*args, **kwargs)
        merge: Any = lambda strategy, *given, **named: call(*given, **named)
        return scopes.replica.merge_call(merge, args, kwargs)

    setattr(merged, _MARK, None)  # not to be converted itself
    return merged


def in_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `result` whose values are tensors, which later updates leave as they are.

    One that gives a dict gives one of tensors. Raises RuntimeError where it gives nothing that is a
    tensor.
    """
    if hasattr(function, _IN_TENSORS):
        return function

    @functools.wraps(function)
    def result(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = convert_in_graph(function.__get__(self))(*args, **kwargs)
        try:
            return nest.map_structure(identity, made) if isinstance(made, dict) else identity(made)
        except (TypeError, ValueError) as error:
            raise RuntimeError(
                "The output of `metric.result()` can only be a single Tensor/Variable, or a dict "
                f"of Tensors/Variables. For metric {self.name}, got result {made}."
            ) from error

    setattr(result, _IN_TENSORS, True)
    setattr(result, _MARK, None)  # not to be converted itself
    return result


def added(pairs: Iterable[tuple[Variable, Any]]) -> Any:
    """Adds to each Variable. Gives one operation in a graph, eagerly None."""
    return group(*[variable.assign_add(value) for variable, value in pairs])


def fitted_weights(values: Tensor, weights: Any, mean: bool = True) -> tuple[Tensor, Tensor]:
    """(values, weights of the same shape).

    A last axis of 1 is added to the weights or taken away. Where they still do not broadcast to
    the values these are reduced over the axes that the weights lack, and the weights stay as they
    are, to be broadcast against: the sum of the weights is then that of the given ones.
    """
    weights = cast(weights, values.dtype)
    rank, wanted = weights.shape.rank, values.shape.rank
    if rank not in (0, None) and wanted is not None:
        if rank == wanted + 1:
            weights = squeeze(weights, [-1])
        elif rank == wanted - 1:
            weights = expand_dims(weights, -1)
        rank = weights.shape.rank
        if not _broadcasts(weights.shape, values.shape):
            if rank < wanted:
                reduce = reduce_mean if mean else reduce_sum
                values = reduce(values, list(range(rank, wanted)))
            return values, weights
    return values, broadcast_to(weights, shape(values))


def weights_for(values: TensorShape, weights: Tensor) -> Tensor:
    """The weights, a last axis of 1 added or taken away, if they broadcast to values of a shape.

    Raises:
      ValueError: they do not, see `check_weights`.
      InvalidArgumentError: they have an axis too many that is not 1.
    """
    rank, wanted = weights.shape.rank, values.rank
    if rank in (0, None) or wanted is None:
        return weights
    if rank == wanted + 1:
        weights = squeeze(weights, [-1])
    elif rank == wanted - 1:
        weights = expand_dims(weights, -1)
    check_weights(values, weights)
    return weights


def check_weights(values: TensorShape, weights: Tensor) -> None:
    """Raises ValueError for weights that are no single one, and do not have 1 or the values' size
    in each axis."""
    if weights.shape.rank in (0, None) or values.rank is None:
        return
    if not _broadcasts(weights.shape, values):
        raise ValueError(
            "weights can not be broadcast to values: each axis must be that of the values, or 1. "
            f"values.shape={values}, weights.shape={weights.shape}"
        )


def _broadcasts(weights: TensorShape, values: TensorShape) -> bool:
    """Whether weights, which are no single one, have the rank of the values, and sizes to fit."""
    return weights.rank == values.rank and all(
        w is None or v is None or w in (1, v) for w, v in zip(weights, values)
    )


class Mean(Metric):
    """The (weighted) mean of values."""

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")
        self.count = self.add_weight("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        values = cast(values, self._dtype)
        if sample_weight is None:
            count = cast(size(values), self._dtype)
        else:
            values, weights = fitted_weights(values, sample_weight)
            values, count = values * weights, reduce_sum(weights)
        self.total.assign_add(reduce_sum(values))
        return self.count.assign_add(count)

    def result(self) -> Any:
        return div_no_nan(self.total, self.count)


class Sum(Metric):
    """The (weighted) sum of values."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        values = cast(values, self._dtype)
        if sample_weight is not None:
            values, weights = fitted_weights(values, sample_weight, mean=False)
            values = values * weights
        return self.total.assign_add(reduce_sum(values))

    def result(self) -> Any:
        return identity(self.total)


class MeanMetricWrapper(Mean):
    """The mean of a function (y_true, y_pred, **arguments) of single examples."""

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name or snake_case(type(self).__name__), dtype)
        self._fn, self._fn_kwargs = fn, kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        y_true = cast(convert_to_tensor(y_true), self._dtype)
        y_pred = _kept(convert_to_tensor(y_pred), self._dtype)
        if not _is_sparse(y_true, y_pred):
            y_pred, y_true = matched(y_pred, y_true)
        values = convert_in_graph(self._fn)(y_true, y_pred, **self._fn_kwargs)
        mask = mask_of(values)
        if mask is not None:  # what the function leaves out counts nothing
            sample_weight = weights_under(mask, sample_weight, self._dtype)
        return super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        own = {"fn": self._fn} if type(self) is MeanMetricWrapper else {}
        return {**super().get_config(), **self._fn_kwargs, **own}


def _kept(x: Tensor, dtype: dt.DType) -> Tensor:
    return x if x.dtype is dtype else cast(x, dtype)


def _is_sparse(y_true: Tensor, y_pred: Tensor) -> bool:
    """Class numbers beside rows of predictions: no axis of size 1 is to be taken away."""
    rank, wanted = y_true.shape.rank, y_pred.shape.rank
    return rank is not None and wanted == rank + 1 and y_pred.shape[-1] != 1
