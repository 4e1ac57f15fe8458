"""Batch renormalization: the statistics of a batch, corrected towards averages of them."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import maximum, minimum, sqrt
from shardtape.ops.selecting import where
from shardtape.ops.shaping import stop_gradient

_BOUNDS = ("rmax", "rmin", "dmax")


class Renormalization:
    """What Ioffe's paper (2017) adds to a `BatchNormalization` layer.

    In training a feature normalised by its batch is multiplied by r and shifted by d, through which
    no gradient flows: r = deviation of the batch / average deviation, d = (mean of the batch -
    average mean) / average deviation.

    Args:
      clipping: tensors or numbers `rmax`, `rmin` (bounds of r) and `dmax` (bound of |d|).
      momentum: share of the old averages that stays with each batch.

    Raises ValueError for other bounds.
    """

    def __init__(self, clipping: Any, momentum: float = 0.99) -> None:
        self.clipping = dict(clipping or {})
        unknown = {k: v for k, v in self.clipping.items() if k not in _BOUNDS}
        if unknown:
            raise ValueError(
                f"Received invalid keys for `renorm_clipping` argument: {unknown}. Supported "
                f"values: {list(_BOUNDS)}."
            )
        self.momentum = momentum

    def build(self, layer: Any, sizes: Any, dtype: Any) -> None:
        """Makes the averages, as Variables of the layer that are not trained."""

        def deviation(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            return sqrt(layer.moving_variance_initializer(shape, dtype=dtype))

        first = layer.moving_mean_initializer
        layer.moving_stddev = layer._moving("moving_stddev", sizes, dtype, deviation)
        layer.renorm_mean = layer._moving("renorm_mean", sizes, dtype, first)
        layer.renorm_stddev = layer._moving("renorm_stddev", sizes, dtype, deviation)

    def corrections(self, layer: Any, mean: Any, variance: Any, training: Any) -> tuple[Any, Any]:
        """(r, d) for a batch, by the averages before it, which then take it in.

        Args:
          mean, variance: of the batch.
          training: True, or a boolean tensor; where it is false nothing changes: (1, 0).
        """
        deviation = sqrt(variance + layer.epsilon)
        average_mean, average = layer.renorm_mean.value(), layer.renorm_stddev.value()
        r = self._bounded(deviation / average, "rmin", "rmax")
        d = self._bounded((mean - average_mean) / average, None, "dmax")
        share, share_of_moving = 1.0 - self.momentum, 1.0 - layer.momentum
        if training is not True:
            flag = cast(training, dt.bool)
            r = where(flag, r, convert_to_tensor(1.0, r.dtype))
            d = where(flag, d, convert_to_tensor(0.0, d.dtype))
            share = share * cast(flag, r.dtype)
            share_of_moving = share_of_moving * cast(flag, r.dtype)
        layer.renorm_mean.assign_sub((average_mean - mean) * share)
        layer.renorm_stddev.assign_sub((average - deviation) * share)
        moving = layer.moving_stddev.value()
        moving = moving - (moving - deviation) * share_of_moving
        layer.moving_stddev.assign_sub(layer.moving_stddev.value() - moving)
        kept = layer.moving_variance.value()
        now = maximum(moving * moving - layer.epsilon, convert_to_tensor(0.0, moving.dtype))
        if training is not True:
            now = where(flag, now, kept)
        layer.moving_variance.assign_sub(kept - now)
        return stop_gradient(r), stop_gradient(d)

    def _bounded(self, x: Any, low: str | None, high: str) -> Any:
        least: Any = self.clipping.get(low) if low else None
        most = self.clipping.get(high)
        if low is None and most is not None:
            least = -most
        if most is not None:
            x = minimum(x, cast(most, x.dtype))
        return x if least is None else maximum(x, cast(least, x.dtype))

    def config(self) -> dict[str, Any]:
        """What the layer's configuration says of it."""
        return {
            "renorm": True,
            "renorm_clipping": self.clipping,
            "renorm_momentum": self.momentum,
        }
