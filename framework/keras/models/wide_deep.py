"""`LinearModel` and `WideDeepModel` of `tf.keras.experimental`.

Cheng et al., Wide & Deep Learning for Recommender Systems (2016).
"""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.keras import activations, initializers, regularizers
from shardtape.keras.layers.calls import is_nested_shape
from shardtape.keras.layers.core import Dense
from shardtape.keras.models.batches import unpack
from shardtape.keras.models.model import Model
from shardtape.ops.math import add_n
from shardtape.shapes import TensorShape
from shardtape.tape import GradientTape


class LinearModel(Model):
    """activation(sum of x @ kernel over the inputs + bias), one kernel for each input.

    Args:
      units: size of the outputs.
      use_bias: with a bias.
    """

    def __init__(
        self, units: int = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "zeros", bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None, bias_regularizer: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.dense_layers: list[Dense] = []
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        shapes = [input_shape]
        if isinstance(input_shape, dict):
            shapes = [input_shape[name] for name in sorted(input_shape)]
        elif is_nested_shape(input_shape):
            shapes = list(input_shape)
        for shape in shapes:
            layer = Dense(
                self.units, use_bias=False, kernel_initializer=self.kernel_initializer,
                kernel_regularizer=self.kernel_regularizer,
            )  # fmt: skip
            layer.build(TensorShape(shape))
            self.dense_layers.append(layer)
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", (self.units,), initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
            )  # fmt: skip
        self.built = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        given = nest.flatten(inputs)
        if len(given) != len(self.dense_layers):
            raise ValueError(
                f"the model was built for {len(self.dense_layers)} inputs, got {len(given)}"
            )
        parts = [layer(x) for layer, x in zip(self.dense_layers, given)]
        result = parts[0] if len(parts) == 1 else add_n(parts)
        if self.use_bias:
            result = result + self.bias
        return result if self.activation is None else self.activation(result)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
        }


class WideDeepModel(Model):
    """activation(linear_model(x) + dnn_model(x)), trained together, each by an optimizer.

    Args:
      linear_model, dnn_model: they get the two inputs, or the same one.
      activation: of the sum.

    `compile` takes one optimizer, or two in their order.
    """

    def __init__(
        self, linear_model: Any, dnn_model: Any, activation: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.linear_model, self.dnn_model = linear_model, dnn_model
        self.activation = activations.get(activation)

    def compile(self, optimizer: Any = "rmsprop", *args: Any, **kwargs: Any) -> None:
        """See `Model.compile`; `optimizer` may be a list of two."""
        from shardtape import optimizers

        pair = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]
        super().compile(pair[-1], *args, **kwargs)
        # with one optimizer both models share it
        self._of_linear = self.optimizer if len(pair) == 1 else optimizers.get(pair[0])

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        several = isinstance(inputs, (tuple, list)) and len(inputs) == 2
        wide, deep = inputs if several else (inputs, inputs)
        made = self.linear_model(wide)
        other = self.dnn_model(deep, training=training)
        out = nest.map_structure(lambda a, b: a + b, made, other)
        return out if self.activation is None else nest.map_structure(self.activation, out)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step: the gradients of both models, each given to its optimizer."""
        x, y, sample_weight = unpack(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        wide, deep = (
            self.linear_model.trainable_variables,
            self.dnn_model.trainable_variables,
        )
        gradients = tape.gradient(loss, [*wide, *deep])
        if self._of_linear is self.optimizer:
            self.optimizer.apply_gradients(zip(gradients, [*wide, *deep]))
        else:
            self._of_linear.apply_gradients(zip(gradients[: len(wide)], wide))
            self.optimizer.apply_gradients(zip(gradients[len(wide) :], deep))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.saving.serialization import plain_form

        return {
            "name": self.name,
            "linear_model": plain_form(self.linear_model),
            "dnn_model": plain_form(self.dnn_model),
            "activation": activations.serialize(self.activation),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from shardtape.keras.saving.serialization import deserialize_keras_object

        given = dict(config)
        parts = [
            deserialize_keras_object(given.pop(name), custom_objects=custom_objects)
            for name in ("linear_model", "dnn_model")
        ]
        return cls(*parts, **given)
