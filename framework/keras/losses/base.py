"""`Loss`: losses as objects, with weights and reductions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape.autograph import convert_in_graph
from shardtape.keras.masks import combined, mask_of, valid_share, weights_under
from shardtape.ops.array import expand_dims, size, squeeze
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import div_no_nan
from shardtape.ops.reduce import reduce_sum
from shardtape.replica_context import scopes
from shardtape.tensor import Tensor


class Reduction:
    """How losses of single examples become one."""

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE

    @classmethod
    def validate(cls, key: Any) -> None:
        """Raises ValueError for something else."""
        if key not in cls.all():
            raise ValueError(f'Invalid Reduction Key: {key}. Expected keys are "{cls.all()}"')


class Loss:
    """Base of losses: `loss(y_true, y_pred, sample_weight=None)`.

    Subclasses define `call(self, y_true, y_pred)`, which gives one value per example.

    Args:
      reduction: "sum_over_batch_size" (the mean; also "auto"), "sum" or "none".
    """

    def __init__(self, reduction: str | None = Reduction.AUTO, name: str | None = None) -> None:
        reduction = Reduction.NONE if reduction is None else reduction
        Reduction.validate(reduction)
        self.reduction, self.name = reduction, name

    _of_compile = False  # `fit` divides the means of replicas by their number

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if scopes.strategies and not self._of_compile:
            self._check_reduction()
        losses = convert_in_graph(self.call)(y_true, y_pred)
        if hasattr(losses, "flat_values"):  # of rows of steps: every step counts alike
            losses = losses.flat_values
            sample_weight = getattr(sample_weight, "flat_values", sample_weight)
        mask = combined(mask_of(y_pred), mask_of(losses))
        if mask is not None:
            losses, sample_weight = self._under_mask(losses, sample_weight, mask)
        return weighted_loss(losses, sample_weight, self.reduction)

    def _under_mask(self, losses: Any, sample_weight: Any, mask: Any) -> tuple[Any, Any]:
        """Masked values count as nothing, and a mean is that of the others."""
        losses = convert_to_tensor(losses)
        is_mean = self.reduction in (Reduction.AUTO, Reduction.SUM_OVER_BATCH_SIZE)
        factors = valid_share(mask, losses.dtype) if is_mean else mask
        return losses, weights_under(factors, sample_weight, losses.dtype)

    def _check_reduction(self) -> None:
        """Raises ValueError for a mean in the scope of a strategy: of a part of the batch."""
        if self.reduction in (Reduction.AUTO, Reduction.SUM_OVER_BATCH_SIZE):
            raise ValueError(
                f"the loss {self.name or type(self).__name__} is the mean over the batch of one "
                "replica: in the scope of a tf.distribute strategy make it with "
                "reduction=tf.keras.losses.Reduction.SUM or NONE and divide by the size of the "
                "global batch (tf.nn.compute_average_loss). Losses given to `compile` may be means."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The losses of single examples."""
        raise NotImplementedError("Must be implemented in subclasses.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class FunctionLoss(Loss):
    """A function (y_true, y_pred, **arguments) as a loss."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = Reduction.AUTO,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction, name)
        self.fn, self._arguments = fn, kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if isinstance(y_pred, Tensor) and isinstance(y_true, Tensor):
            y_pred, y_true = matched(y_pred, y_true)
        return convert_in_graph(self.fn)(y_true, y_pred, **self._arguments)

    def get_config(self) -> dict[str, Any]:
        name = getattr(self.fn, "__name__", str(self.fn))
        return {**super().get_config(), **self._arguments, "fn": name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A loss from what `get_config` gave: which function it is, the class says."""
        takes = "fn" in inspect.signature(cls.__init__).parameters
        return cls(**{k: v for k, v in config.items() if takes or k != "fn"})


class PlainLoss(FunctionLoss):
    """Base of losses that are `_function` without further arguments."""

    _function: Any
    _name: str

    def __init__(self, reduction: str | None = Reduction.AUTO, name: str | None = None) -> None:
        super().__init__(type(self)._function, reduction, name or self._name)


def weighted_loss(losses: Any, sample_weight: Any, reduction: str) -> Any:
    """Losses times weights (which broadcast, a last axis of 1 added or taken), reduced."""
    losses = convert_to_tensor(losses)
    given = losses.dtype
    if not given.is_floating:
        losses = cast(losses, dt.float32)
    if sample_weight is not None:
        losses = losses * _fitting(cast(sample_weight, losses.dtype), losses)
    if reduction != Reduction.NONE:
        total = reduce_sum(losses)
        if reduction != Reduction.SUM:
            total = div_no_nan(total, cast(size(losses), losses.dtype))
        losses = total
    return losses if losses.dtype is given else cast(losses, given)


def _fitting(weight: Tensor, losses: Tensor) -> Tensor:
    rank, wanted = weight.shape.rank, losses.shape.rank
    if rank in (0, None) or wanted is None:
        return weight
    if rank == wanted + 1:
        return squeeze(weight, [-1])
    return expand_dims(weight, -1) if rank == wanted - 1 else weight


def matched(y_pred: Tensor, y_true: Tensor) -> tuple[Tensor, Tensor]:
    """(y_pred, y_true) where a last axis of size 1 that only one of them has is taken away."""
    rank, wanted = y_true.shape.rank, y_pred.shape.rank
    if rank is None or wanted is None:
        return y_pred, y_true
    if wanted == rank + 1 and y_pred.shape[-1] == 1:
        return squeeze(y_pred, [-1]), y_true
    if rank == wanted + 1 and y_true.shape[-1] == 1:
        return y_pred, squeeze(y_true, [-1])
    return y_pred, y_true
