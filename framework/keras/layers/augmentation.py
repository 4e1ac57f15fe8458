"""Layers on images: Resizing, CenterCrop, and those that change images at random in training."""

from __future__ import annotations

import math as python_math
from collections.abc import Callable, Iterator
from typing import Any

from shardtape import dtypes as dt
from shardtape.graph.control_flow import cond
from shardtape.keras.image_sampling import (
    FILL_MODES,
    INTERPOLATIONS,
    RESIZE_METHODS,
    resize,
    sample,
)
from shardtape.keras.layers.base import Layer
from shardtape.keras.random_seed import RandomGenerator
from shardtape.ops import math, random_stateless
from shardtape.ops.array import expand_dims, reverse, shape, stack, zeros_like
from shardtape.ops.cast import cast
from shardtape.ops.clip import clip_by_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_mean
from shardtape.ops.selecting import where
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class _ImageLayer(Layer):
    """Base: `_changed` works on (batch, h, w, c) of the layer's type; one image (h, w, c) will do.

    Args:
      seed: op seed of the random numbers.
    """

    _training_only = True
    _draws = True

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.seed = seed
        self._random_generator = RandomGenerator(seed, RandomGenerator.RNG_STATEFUL)

    def build(self, input_shape: Any) -> None:
        if self._draws:
            self._random_generator.prepare()
        self.built = True

    def _needs_build(self) -> bool:
        return False

    def call(self, inputs: Any, training: Any = True) -> Tensor:
        inputs = cast(convert_to_tensor(inputs), self._dtype)
        if self._training_only and not training:
            return inputs
        return (
            self._alone(inputs, training)
            if inputs.shape.rank == 3
            else (self._changed(inputs, training))
        )

    def _alone(self, image: Any, training: Any) -> Tensor:
        """One image without an axis of examples."""
        return self._changed(expand_dims(image, 0), training)[0]

    def _changed(self, images: Any, training: Any) -> Tensor:
        raise NotImplementedError

    def _uniform(self, images: Any, bounds: tuple[float, float]) -> Tensor:
        """One number per image."""
        count = shape(images)[0]
        return self._random_generator.random_uniform([count], bounds[0], bounds[1])

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(input_shape)

    def _own_config(self) -> dict[str, Any]:
        """What a layer has beside a seed, in Keras's order."""
        return {}

    def get_config(self) -> dict[str, Any]:
        seed = {"seed": self.seed} if self._draws else {}
        return {**super().get_config(), **self._own_config(), **seed}


class _Sized(_ImageLayer):
    """A layer whose images are `height` x `width`."""

    _training_only = _draws = False

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height, self.width = height, width

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        return TensorShape([*dims[:-3], self.height, self.width, dims[-1]])

    def _own_config(self) -> dict[str, Any]:
        return {**super()._own_config(), "height": self.height, "width": self.width}

    def _cut(self, images: Any, top: Any, left: Any) -> Tensor:
        made = images[:, top : top + self.height, left : left + self.width]
        if hasattr(made, "set_shape"):
            made.set_shape([None, self.height, self.width, None])
        return made

    def _cut_or_fitted(self, images: Any, cut: Callable[[Any, Any], Tensor]) -> Tensor:
        """`cut(height, width of the images)`, or where they are smaller `_fitted`."""
        high, wide = images.shape[1], images.shape[2]
        if high is not None and wide is not None:
            small = high < self.height or wide < self.width
            return self._fitted(images) if small else cut(high, wide)
        sizes = shape(images)
        enough = math.logical_and(sizes[1] >= self.height, sizes[2] >= self.width)
        return cond(enough, lambda: cut(sizes[1], sizes[2]), lambda: self._fitted(images))

    def _fitted(self, images: Any, interpolation: str = "bilinear") -> Tensor:
        """The largest middle part of the wanted proportions, resized."""
        sizes = shape(images)
        high = cast(cast(sizes[2] * self.height, dt.float32) / self.width, dt.int32)
        wide = cast(cast(sizes[1] * self.width, dt.float32) / self.height, dt.int32)
        high, wide = math.minimum(sizes[1], high), math.minimum(sizes[2], wide)
        top, left = (sizes[1] - high) // 2, (sizes[2] - wide) // 2
        part = images[:, top : top + high, left : left + wide]
        return self._resized(part, interpolation)

    def _resized(self, images: Any, interpolation: str) -> Tensor:
        made = cast(resize(images, self.height, self.width, interpolation), images.dtype)
        if hasattr(made, "set_shape"):
            made.set_shape([None, self.height, self.width, None])
        return made


class Resizing(_Sized):
    """Images of another size.

    Args:
      interpolation: a method of `tf.image.resize`: "bilinear", "nearest", "bicubic" and so on.
      crop_to_aspect_ratio: cut what does not fit instead of changing the proportions.
    """

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(height, width, **kwargs)
        if interpolation not in RESIZE_METHODS:
            raise NotImplementedError(
                f"Resizing interpolates {RESIZE_METHODS}. Received: {interpolation}"
            )
        self.interpolation, self.crop_to_aspect_ratio = interpolation, crop_to_aspect_ratio

    def _changed(self, images: Any, training: Any) -> Tensor:
        if self.crop_to_aspect_ratio:
            return self._fitted(images, self.interpolation)
        return self._resized(images, self.interpolation)

    def _own_config(self) -> dict[str, Any]:
        return {
            **super()._own_config(),
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
        }


class CenterCrop(_Sized):
    """The middle of images; smaller ones are enlarged first."""

    def _changed(self, images: Any, training: Any) -> Tensor:
        def middle(high: Any, wide: Any) -> Tensor:
            return self._cut(images, (high - self.height) // 2, (wide - self.width) // 2)

        return self._cut_or_fitted(images, middle)


class RandomCrop(_Sized):
    """In training a part of the images at a random place, else their middle, resized."""

    _draws = True

    def __init__(self, height: int, width: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, seed=seed, **kwargs)

    def _changed(self, images: Any, training: Any) -> Tensor:
        if not training:
            return self._fitted(images)

        def anywhere(high: Any, wide: Any) -> Tensor:
            drawn = self._random_generator.random_uniform([2], 0, dt.int32.max, dt.int32)
            top, left = drawn[0] % (high - self.height + 1), drawn[1] % (wide - self.width + 1)
            return self._cut(images, top, left)

        return self._cut_or_fitted(images, anywhere)


class RandomFlip(_ImageLayer):
    """Mirrors each image or not: `mode` "horizontal", "vertical" or "horizontal_and_vertical"."""

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"RandomFlip layer {self.name} received an unknown mode argument {mode}"
            )
        self.mode = mode

    def _changed(self, images: Any, training: Any) -> Tensor:
        for axis, drawn in self._axes([shape(images)[0]]):
            images = where((drawn > 0.5)[:, None, None, None], reverse(images, [axis]), images)
        return images

    def _alone(self, image: Any, training: Any) -> Tensor:
        # for one image the lower half of the numbers mirrors, as in tf.image.stateless_random_flip
        for axis, drawn in self._axes([]):
            image = where(drawn < 0.5, reverse(image, [axis - 1]), image)
        return image

    def _axes(self, count: list[Any]) -> Iterator[tuple[int, Tensor]]:
        """(axis of a batch, a number for each image) of each direction."""
        for axis, name in ((2, "horizontal"), (1, "vertical")):
            if name in self.mode:
                seed = self._random_generator.make_seed_for_stateless_op()
                yield axis, random_stateless.stateless_uniform(count, seed)

    def _own_config(self) -> dict[str, Any]:
        return {**super()._own_config(), "mode": self.mode}


def bounds_of(factor: Any, name: str) -> tuple[float, float]:
    """(least, greatest) from a pair, or from a number that stands for both directions."""
    if isinstance(factor, (tuple, list)):
        low, high = factor
    else:
        low, high = -factor, factor
    if high < low:
        raise ValueError(f"`{name}` must not have a greater lower bound, got {factor}")
    return float(low), float(high)


class _Moved(_ImageLayer):
    """Base: an affine map for each image; see `image_sampling.sample`."""

    def __init__(
        self, fill_mode: str = "reflect", interpolation: str = "bilinear",
        seed: int | None = None, fill_value: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(seed, **kwargs)
        for name, value, allowed in (("fill_mode", fill_mode, FILL_MODES),
                                     ("interpolation", interpolation, INTERPOLATIONS)):  # fmt: skip
            if value not in allowed:
                raise NotImplementedError(
                    f"Unknown `{name}` {value}. Only {allowed} are supported."
                )
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def _changed(self, images: Any, training: Any) -> Tensor:
        sizes = shape(images)
        high, wide = cast(sizes[1], dt.float32), cast(sizes[2], dt.float32)
        maps = stack(self._maps(images, high, wide), -1)
        made = sample(images, maps, sizes[1], sizes[2], self.fill_mode, self.interpolation,
                      self.fill_value)  # fmt: skip
        if hasattr(made, "set_shape"):
            made.set_shape(images.shape)
        return made

    def _maps(self, images: Any, high: Any, wide: Any) -> list[Any]:
        raise NotImplementedError

    def _own_config(self) -> dict[str, Any]:
        return {
            **super()._own_config(),
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "interpolation": self.interpolation,
        }


class RandomTranslation(_Moved):
    """Moves images by shares of their height and width, drawn from ranges (or up to a number)."""

    def __init__(self, height_factor: Any, width_factor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor

    def _maps(self, images: Any, high: Any, wide: Any) -> list[Any]:
        down = self._uniform(images, bounds_of(self.height_factor, "height_factor")) * high
        across = self._uniform(images, bounds_of(self.width_factor, "width_factor")) * wide
        none = zeros_like(down)
        return [none + 1.0, none, -across, none, none + 1.0, -down]

    def _own_config(self) -> dict[str, Any]:
        return {
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
            **super()._own_config(),
        }


class RandomRotation(_Moved):
    """Turns images around their middle by shares of a full turn, against the clock if positive."""

    def __init__(self, factor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = factor

    def _maps(self, images: Any, high: Any, wide: Any) -> list[Any]:
        angle = self._uniform(images, bounds_of(self.factor, "factor")) * (2 * python_math.pi)
        sin, cos = math.sin(angle), math.cos(angle)
        wide, high = wide - 1, high - 1
        x = (wide - (cos * wide - sin * high)) / 2.0
        y = (high - (sin * wide + cos * high)) / 2.0
        return [cos, -sin, x, sin, cos, y]

    def _own_config(self) -> dict[str, Any]:
        return {"factor": self.factor, **super()._own_config()}


class RandomZoom(_Moved):
    """Enlarges (factors below 0) or shrinks images; without `width_factor` in proportion."""

    def __init__(
        self, height_factor: Any, width_factor: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor

    def _maps(self, images: Any, high: Any, wide: Any) -> list[Any]:
        down = across = 1.0 + self._uniform(images, bounds_of(self.height_factor, "height_factor"))
        if self.width_factor is not None:
            across = 1.0 + self._uniform(images, bounds_of(self.width_factor, "width_factor"))
        none = zeros_like(down)
        x, y = (wide - 1.0) / 2.0 * (1.0 - across), (high - 1.0) / 2.0 * (1.0 - down)
        return [across, none, x, none, down, y]

    def _own_config(self) -> dict[str, Any]:
        return {
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
            **super()._own_config(),
        }


class RandomContrast(_ImageLayer):
    """(x - mean) * f + mean for each channel, f from [1 - lower, 1 + upper]; within 0 and 255.

    There is one f for a batch.
    """

    def __init__(self, factor: Any, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.factor = factor
        several = isinstance(factor, (tuple, list))
        self.lower, self.upper = factor if several else (factor, factor)
        if self.lower < 0 or self.upper < 0 or self.lower > 1:
            raise ValueError(
                "`factor` argument cannot have negative values or values greater than 1. "
                f"Received: factor={factor}"
            )

    def _changed(self, images: Any, training: Any) -> Tensor:
        seed = self._random_generator.make_seed_for_stateless_op()
        factor = random_stateless.stateless_uniform([], seed, 1.0 - self.lower, 1.0 + self.upper)
        mean = reduce_mean(images, [1, 2], keepdims=True)
        changed = (images - mean) * cast(factor, images.dtype) + mean
        return clip_by_value(changed, 0.0, 255.0)

    def _own_config(self) -> dict[str, Any]:
        return {**super()._own_config(), "factor": self.factor}


class RandomBrightness(_ImageLayer):
    """Adds a share of the range to each image, drawn from [-factor, factor] or a pair."""

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        several = isinstance(factor, (tuple, list))
        self.factor = list(factor) if several else [-factor, factor]
        self.value_range = list(value_range)

    def _changed(self, images: Any, training: Any) -> Tensor:
        low, high = (float(v) for v in self.value_range)
        share = self._uniform(images, bounds_of(self.factor, "factor")) * (high - low)
        return clip_by_value(images + cast(share, images.dtype)[:, None, None, None], low, high)

    def _own_config(self) -> dict[str, Any]:
        return {
            **super()._own_config(),
            "factor": self.factor,
            "value_range": self.value_range,
        }
