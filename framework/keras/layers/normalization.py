"""Layers that make features alike in mean and variance: over a batch, an example, a group."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nn
from shardtape.keras import constraints, initializers, regularizers
from shardtape.keras.layers.axes import given_axes, known_axes, known_sizes
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.core import weight_config
from shardtape.keras.layers.input_spec import InputSpec
from shardtape.keras.layers.renormalization import Renormalization
from shardtape.ops.array import broadcast_to, expand_dims, ones_like, reshape, shape, size
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import maximum, rsqrt, square
from shardtape.ops.reduce import reduce_mean, reduce_sum
from shardtape.ops.selecting import where
from shardtape.replica_context import scopes
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.variable import Variable
from shardtape.variable_synchronization import VariableAggregation, VariableSynchronization


class _Scaled(Layer):
    """A layer that ends with `x * gamma + beta`, of which either may be missing."""

    axis: Any

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    _wide = True  # float16 is normalised in float32, so weights are read as they are kept

    def _make_scale(self, sizes: Any, dtype: Any = None) -> None:
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", sizes, dtype, self.gamma_initializer, self.gamma_regularizer,
                constraint=self.gamma_constraint, experimental_autocast=not self._wide,
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                "beta", sizes, dtype, self.beta_initializer, self.beta_regularizer,
                constraint=self.beta_constraint, experimental_autocast=not self._wide,
            )  # fmt: skip

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._own_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **weight_config(self, "beta", "gamma"),
        }

    def _own_config(self) -> dict[str, Any]:
        """What stands before the epsilon."""
        return {"axis": self.axis}


class BatchNormalization(_Scaled):
    """Each feature less its mean over its deviation: those of the batch in training, else moving
    averages of them.

    The averages are Variables that are not trained. They change by a difference that is added, so
    that parameter servers can gather the differences of all workers.

    Args:
      axis: of the features.
      momentum: share of the old moving average that stays with each batch.
      epsilon: added to the variance.
      center, scale: whether `beta` is added, whether there is a factor `gamma`.
      renorm, renorm_clipping, renorm_momentum: see `renormalization.Renormalization`.

    A layer whose `trainable` is False uses its moving averages in training, too.
    """

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        renorm = kwargs.pop("renorm", False)
        if renorm and kwargs.get("fused"):
            raise ValueError("Passing both `fused=True` and `renorm=True` is not supported")
        corrected = kwargs.pop("renorm_clipping", None), kwargs.pop("renorm_momentum", 0.99)
        for option in ("virtual_batch_size", "adjustment"):
            if kwargs.pop(option, None):
                raise NotImplementedError(f"BatchNormalization has no option `{option}` here")
        kwargs.pop("fused", None)
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis = given_axes(axis)
        self.momentum, self.synchronized = momentum, synchronized
        self._renorm = Renormalization(*corrected) if renorm else None
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        full = TensorShape(input_shape)
        self.axis = known_axes(self.axis, full)
        sizes = known_sizes(self.axis, full)
        self.input_spec = InputSpec(ndim=full.rank, axes=dict(zip(self.axis, sizes)))
        if len(sizes) > 1:
            sizes = [full[i] if i in self.axis else 1 for i in range(len(full))]
        dtype = dt.float32 if self._weight_dtype in dt.HALVES else self._weight_dtype
        self._make_scale(sizes, dtype)
        self.moving_mean = self._moving("moving_mean", sizes, dtype, self.moving_mean_initializer)
        self.moving_variance = self._moving(
            "moving_variance", sizes, dtype, self.moving_variance_initializer
        )
        if self._renorm is not None:
            self._renorm.build(self, sizes, dtype)
        self.built = True

    def _moving(self, name: str, sizes: Any, dtype: Any, initializer: Any) -> Variable:
        return self.add_weight(
            name, sizes, dtype, initializer, trainable=False,
            synchronization=VariableSynchronization.ON_READ,
            aggregation=VariableAggregation.MEAN, experimental_autocast=False,
        )  # fmt: skip

    # frozen layers act as in inference, so the flag is theirs alone
    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Tensor:
        given = inputs.dtype
        x = cast(inputs, dt.float32) if given in dt.HALVES else inputs
        if not self.trainable:
            training = False
        mean, variance, beta, gamma = self._statistics(x, training, mask)
        y = nn.batch_normalization(
            x, self._spread(mean, x), self._spread(variance, x), self._spread(beta, x),
            self._spread(gamma, x), self.epsilon,
        )  # fmt: skip
        return cast(y, given) if y.dtype is not given else y

    def _statistics(self, x: Any, training: Any, mask: Any) -> tuple[Any, Any, Any, Any]:
        """Mean, variance, offset and factor to normalise with."""
        beta, gamma = self.beta, self.gamma
        moving_mean, moving_variance = self.moving_mean.value(), self.moving_variance.value()
        is_tensor = isinstance(training, (Tensor, Variable))
        if not is_tensor and not training:
            return moving_mean, moving_variance, beta, gamma
        mean, variance = self._batch_statistics(x, mask)
        decay = 1.0 - self.momentum
        if is_tensor:
            training = cast(training, dt.bool)
            decay = decay * cast(training, mean.dtype)
        self.moving_mean.assign_sub((moving_mean - mean) * decay)
        if self._renorm is not None:
            r, d = self._renorm.corrections(self, mean, variance, training)
            shift = d if gamma is None else d * gamma
            beta = shift if beta is None else beta + shift
            gamma = r if gamma is None else r * gamma
        else:
            as_it_is = mask is not None or self.synchronized
            kept = variance if as_it_is else self._unbiased(variance, x)
            self.moving_variance.assign_sub((moving_variance - kept) * decay)
        if is_tensor:
            mean = where(training, mean, moving_mean)
            variance = where(training, variance, moving_variance)
        return mean, variance, beta, gamma

    def _batch_statistics(self, x: Any, mask: Any) -> tuple[Any, Any]:
        axes = [i for i in range(x.shape.rank) if i not in self.axis]
        several = len(self.axis) > 1
        if self.synchronized and scopes.replica is not None:
            return self._statistics_of_all(x, mask, axes, several)
        if mask is None or x.shape.rank == 4:
            return nn.moments(x, axes, keepdims=several)
        weights = expand_dims(cast(mask, x.dtype), -1)
        return nn.weighted_moments(x, axes, weights, keepdims=several)

    def _statistics_of_all(self, x: Any, mask: Any, axes: list[int], keepdims: bool) -> Any:
        """Mean and variance over the batches of all replicas."""
        weights = ones_like(x) if mask is None else expand_dims(cast(mask, x.dtype), -1)
        weighted = x * weights
        sums = [
            reduce_sum(weighted, axes, keepdims), reduce_sum(weighted * x, axes, keepdims),
            reduce_sum(broadcast_to(weights, shape(x)), axes, keepdims),
        ]  # fmt: skip
        total, squares, count = scopes.replica.all_reduce("SUM", sums)
        mean = total / count
        return mean, squares / count - mean * mean

    def _unbiased(self, variance: Any, x: Any) -> Any:
        """The estimate that TensorFlow's fused kernel keeps for images; else the variance."""
        if len(self.axis) != 1 or not _is_image_axis(x.shape.rank, self.axis[0]):
            return variance
        count = cast(size(x) // size(variance), variance.dtype)
        one = convert_to_tensor(1.0, variance.dtype)
        return variance * (count / maximum(count - one, one))

    def _spread(self, value: Any, x: Any) -> Any:
        """A vector of the features in a shape that broadcasts against x."""
        rank = x.shape.rank
        if value is None or len(self.axis) > 1 or self.axis == [rank - 1]:
            return value
        return reshape(value, [-1 if i == self.axis[0] else 1 for i in range(rank)])

    def _own_config(self) -> dict[str, Any]:
        return {"axis": self.axis, "momentum": self.momentum}

    def get_config(self) -> dict[str, Any]:
        moving = {
            f"{name}_initializer": initializers.serialize(getattr(self, f"{name}_initializer"))
            for name in ("moving_mean", "moving_variance")
        }
        config: dict[str, Any] = {}
        for key, value in super().get_config().items():
            config[key] = value
            if key == "gamma_initializer":  # the other initializers follow, as in Keras
                config.update(moving)
        return {**config, **({} if self._renorm is None else self._renorm.config())}


def _is_image_axis(rank: int, axis: int) -> bool:
    return rank in (4, 5) and axis in (1, rank - 1)


class SyncBatchNormalization(BatchNormalization):
    """`BatchNormalization` with the statistics of the batches of all replicas of a strategy.

    Each worker of a job normalises with those of its own batch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "synchronized": True})


class LayerNormalization(_Scaled):
    """Each example less its mean over its deviation along `axis`.

    Args:
      axis: an int or several; `gamma` and `beta` have their sizes.
      epsilon: added to the variance.
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis = given_axes(axis)

    def build(self, input_shape: Any) -> None:
        full = TensorShape(input_shape)
        self.axis = known_axes(self.axis, full)
        self._make_scale(known_sizes(self.axis, full))
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        given = inputs.dtype
        x = cast(inputs, dt.float32) if given in dt.HALVES else inputs
        # the mean goes first: scaled it would take the digits of large values along
        centred = x - reduce_mean(x, self.axis, keepdims=True)
        variance = reduce_mean(square(centred), self.axis, keepdims=True)
        y = centred * rsqrt(variance + self.epsilon)
        gamma, beta = self._spread(self.gamma, x), self._spread(self.beta, x)
        y = y if gamma is None else y * gamma
        y = y if beta is None else y + beta
        return cast(y, given) if y.dtype is not given else y

    def _spread(self, value: Any, x: Any) -> Any:
        if value is None:
            return None
        rank = x.shape.rank
        if value.dtype is not x.dtype:
            value = cast(value, x.dtype)
        if self.axis == [rank - 1]:
            return value
        return reshape(value, [x.shape[i] if i in self.axis else 1 for i in range(rank)])


class GroupNormalization(_Scaled):
    """Each example less its mean over its deviation, per group of features.

    Args:
      groups: their number; -1 makes each feature a group.
      axis: of the features.
    """

    _wide = False

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.groups, self.axis = groups, axis

    def build(self, input_shape: Any) -> None:
        full = TensorShape(input_shape)
        axes = known_axes(self.axis, full)
        features = known_sizes(axes, full)[0]
        if self.groups == -1:
            self.groups = features
        if features < self.groups or features % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must divide the number of channels ({features})."
            )
        self.input_spec = InputSpec(ndim=full.rank, axes={self.axis: features})
        self._make_scale((features,))
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Tensor:
        rank, dims = inputs.shape.rank, shape(inputs)
        axis = self.axis % rank
        sizes = [dims[i] for i in range(rank)]
        features = inputs.shape[axis]
        split = [*sizes[:axis], self.groups, features // self.groups, *sizes[axis + 1 :]]
        x = reshape(inputs, split)
        weights = broadcast_to(cast(mask, x.dtype), dims) if mask is not None else None
        axes = [i for i in range(1, rank + 1) if i != axis]
        if weights is None:
            mean, variance = nn.moments(x, axes, keepdims=True)
        else:
            mean, variance = nn.weighted_moments(
                x, axes, reshape(weights, split) * ones_like(x), keepdims=True
            )
        spread = [1] * (rank + 1)
        spread[axis], spread[axis + 1] = self.groups, features // self.groups
        gamma, beta = (None if w is None else reshape(w, spread) for w in (self.gamma, self.beta))
        return reshape(nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon), dims)

    def _own_config(self) -> dict[str, Any]:
        return {"groups": self.groups, "axis": self.axis}


class UnitNormalization(Layer):
    """Inputs over their 2-norm along `axis` (an int or several)."""

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = given_axes(axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Tensor:
        return nn.l2_normalize(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
