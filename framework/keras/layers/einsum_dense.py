"""EinsumDense: a dense layer whose product is an einsum."""

from __future__ import annotations

import re
from typing import Any

from shardtape.keras import activations, constraints, initializers, regularizers
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.core import weight_config
from shardtape.ops.contraction import einsum
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


class EinsumDense(Layer):
    """activation(einsum(equation, inputs, kernel) + bias).

    Args:
      equation: "abc,cd->abd", "...x,xy->...y" or "ab...,bc->ac...".
      output_shape: sizes of the outputs without the batch, None where the inputs tell.
      bias_axes: letters of the outputs that the bias has; None leaves it out.
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
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
        self.equation, self.bias_axes = equation, bias_axes
        self.partial_output_shape = (
            [output_shape] if isinstance(output_shape, int) else list(output_shape)
        )
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        kernel, bias, _ = self._sizes(TensorShape(input_shape))
        self.kernel = self.add_weight(
            "kernel", kernel, initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if bias is not None:
            self.bias = self.add_weight(
                "bias", bias, initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.built = True

    def _sizes(self, full: TensorShape) -> tuple[list[Any], list[Any] | None, list[Any]]:
        """Sizes of kernel, bias and outputs. Raises ValueError for an equation that cannot be."""
        found = re.fullmatch(r"(0?)([a-zA-Z]+)(0?),([a-zA-Z]+)->(0?)([a-zA-Z]+)(0?)",
                             self.equation.replace("...", "0"))  # fmt: skip
        if not found or (found[1], found[3]) != (found[5], found[7]) or found[1] == found[3] == "0":
            raise ValueError(
                f"Invalid einsum equation '{self.equation}'. Equations must be in the form "
                "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
            )
        given, weight, out = found[2], found[4], found[6]
        elided = len(full) - len(given)
        ahead = elided if found[1] else 0
        sizes = dict(zip(given, full.as_list()[ahead:]))
        lead = full.as_list()[1:ahead] if ahead else []
        trail = full.as_list()[len(full) - elided :] if found[3] else []
        outputs = [full[0], *lead, *self.partial_output_shape, *trail]
        made = dict(zip(out, outputs[ahead:]))
        for letter in given:
            if letter in made and made[letter] not in (None, sizes[letter]):
                raise ValueError(
                    f"Input shape and output shape do not match at shared dimension '{letter}'. "
                    f"Input shape is {sizes[letter]}, and output shape is {made[letter]}."
                )
        for letter in weight:
            if letter not in sizes and letter not in made:
                raise ValueError(
                    f"Weight dimension '{letter}' did not have a match in either the input spec "
                    f"'{given}' or the output spec '{out}'. For this layer, the weight must be "
                    "fully specified."
                )
        kernel = [sizes[c] if c in sizes else made[c] for c in weight]
        bias = None
        if self.bias_axes is not None:
            for letter in self.bias_axes:
                if letter not in out:
                    raise ValueError(
                        f"Bias dimension '{letter}' was requested, but is not part of the output "
                        f"spec '{out}'"
                    )
            first = min(out.index(c) for c in self.bias_axes)
            bias = [made[c] if c in self.bias_axes else 1 for c in out[first:]]
            bias += [1] * len(trail)
        full_outputs = [made[c] if made[c] is not None else sizes.get(c) for c in out]
        return kernel, bias, [*full.as_list()[:ahead], *full_outputs, *trail]

    def call(self, inputs: Any) -> Tensor:
        outputs = einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            outputs = outputs + self.bias
        if self.activation not in (None, activations.linear):
            outputs = self.activation(outputs)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(self._sizes(TensorShape(input_shape))[2])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            **weight_config(self, "kernel", "bias", activity=True),
        }
