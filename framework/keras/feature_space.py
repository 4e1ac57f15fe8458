"""`tf.keras.utils.FeatureSpace`: how each column of a table is made into numbers, in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.categories import CategoryEncoding, Discretization, Hashing
from shardtape.keras.layers.core import Identity, Input
from shardtape.keras.layers.crossing import HashedCrossing
from shardtape.keras.layers.lookup import IntegerLookup, StringLookup
from shardtape.keras.layers.merging import Concatenate
from shardtape.keras.layers.preprocessing import Normalization, PreprocessingLayer, Rescaling
from shardtape.keras.layers.text import TextVectorization
from shardtape.ops.array import expand_dims, reshape, squeeze
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged.tensor import RaggedTensor
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import Tensor

_MODES = ("int", "one_hot", "float")
_LEARNING = (Normalization, TextVectorization, Discretization, IntegerLookup, StringLookup)


class Feature:
    """How one column is read: its dtype, the layer that prepares it, and what comes out.

    Args:
      output_mode: "float", "int" or "one_hot".
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        self.dtype, self.preprocessor = dtype, preprocessor
        self.output_mode = _checked(output_mode)

    def get_config(self) -> dict[str, Any]:
        from shardtape.keras.saving.serialization import keras_form

        return {"dtype": self.dtype, "preprocessor": keras_form(self.preprocessor),
                "output_mode": self.output_mode}  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Feature:
        from shardtape.keras.saving.serialization import deserialize_keras_object

        return cls(config["dtype"], deserialize_keras_object(config["preprocessor"]),
                   config["output_mode"])  # fmt: skip


class Cross:
    """Several columns that are hashed together."""

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> None:
        if output_mode not in ("int", "one_hot"):
            raise ValueError(
                "Invalid value for argument `output_mode`. Expected one of {'int', 'one_hot'}. "
                f"Received: output_mode={output_mode}"
            )
        self.feature_names, self.crossing_dim = tuple(feature_names), crossing_dim
        self.output_mode = output_mode

    @property
    def name(self) -> str:
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        return {"feature_names": self.feature_names, "crossing_dim": self.crossing_dim,
                "output_mode": self.output_mode}  # fmt: skip


def _checked(output_mode: str) -> str:
    if output_mode not in _MODES:
        raise ValueError(
            f"Invalid value for argument `output_mode`. Expected one of {set(_MODES)}. Received: "
            f"output_mode={output_mode}"
        )
    return output_mode


class FeatureSpace:
    """Prepares the columns of a table, as one vector for each row, or as a dictionary.

    Args:
      features: by the columns' names: a Feature (`FeatureSpace.float_normalized()`, ...) or the
        name of one ("float_normalized").
      output_mode: "concat" (one vector) or "dict".
      crosses: tuples of names, or `FeatureSpace.cross(...)`: columns that are hashed together.
      crossing_dim, hashing_dim, num_discretization_bins: for those that say none of their own.

    Attributes:
      preprocessors, crossers: the layers by the names.

    Raises ValueError for features, crosses or a mode that there are not.
    """

    def __init__(
        self, features: Mapping[str, Any], output_mode: str = "concat", crosses: Any = None,
        crossing_dim: int = 32, hashing_dim: int = 32, num_discretization_bins: int = 32,
    ) -> None:  # fmt: skip
        if not features:
            raise ValueError("The `features` argument cannot be None or empty.")
        if output_mode not in ("dict", "concat"):
            raise ValueError(
                "Invalid value for argument `output_mode`. Expected one of {'dict', 'concat'}. "
                f"Received: output_mode={output_mode}"
            )
        self.crossing_dim, self.hashing_dim = crossing_dim, hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.output_mode = output_mode
        self.features = {n: self._standardized(n, f) for n, f in features.items()}
        self.crosses = [self._cross_of(c) for c in crosses or ()]
        self.crosses_by_name = {c.name: c for c in self.crosses}
        self.preprocessors = {n: f.preprocessor for n, f in self.features.items()}
        self.crossers = {c.name: HashedCrossing(c.crossing_dim, name=c.name) for c in self.crosses}
        self.inputs = {n: self._input(n, f) for n, f in self.features.items()}
        self.one_hot_encoders: dict[str, Any] = {}
        self._concat = Concatenate(axis=-1)
        self._encoded: Any = None
        self._adapted = False

    # ---- kinds of features ----------------------------------------------------------------
    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Columns hashed together into `crossing_dim` places."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A column that a layer of one's own prepares."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """A number as it is."""
        return Feature("float32", Identity(dtype="float32", name=_named(name)), "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """number * scale + offset."""
        return Feature("float32", Rescaling(scale, offset, name=_named(name)), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """A number less the mean, by the deviation; `adapt` learns both."""
        return Feature("float32", Normalization(axis=-1, name=_named(name)), "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int, bin_boundaries: Any = None, output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:  # fmt: skip
        """The bin that a number lies in; `adapt` learns the boundaries if none are given."""
        layer = Discretization(
            num_bins=None if bin_boundaries is not None else num_bins,
            bin_boundaries=bin_boundaries, name=_named(name),
        )  # fmt: skip
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1,
        output_mode: str = "one_hot", name: str | None = None,
    ) -> Feature:  # fmt: skip
        """The place of an integer in the vocabulary that `adapt` learns."""
        layer = IntegerLookup(
            max_tokens=max_tokens, num_oov_indices=num_oov_indices, name=_named(name)
        )
        return Feature("int64", layer, output_mode)

    @classmethod
    def string_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1,
        output_mode: str = "one_hot", name: str | None = None,
    ) -> Feature:  # fmt: skip
        """The place of a string in the vocabulary that `adapt` learns."""
        layer = StringLookup(
            max_tokens=max_tokens, num_oov_indices=num_oov_indices, name=_named(name)
        )
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """The hash of a string in `num_bins` places."""
        return Feature("string", Hashing(num_bins, name=_named(name)), output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """The hash of an integer in `num_bins` places."""
        return Feature("int64", Hashing(num_bins, name=_named(name)), output_mode)

    def _standardized(self, name: str, feature: Any) -> Feature:
        if isinstance(feature, Feature):
            return feature
        if isinstance(feature, dict):
            return Feature.from_config(feature.get("config", feature))
        made = {
            "float": lambda: self.float(name),
            "float_rescaled": lambda: self.float_rescaled(name=name),
            "float_normalized": lambda: self.float_normalized(name),
            "float_discretized": lambda: self.float_discretized(
                self.num_discretization_bins, name=name),
            "integer_categorical": lambda: self.integer_categorical(name=name),
            "string_categorical": lambda: self.string_categorical(name=name),
            "integer_hashed": lambda: self.integer_hashed(self.hashing_dim, name=name),
            "string_hashed": lambda: self.string_hashed(self.hashing_dim, name=name),
        }.get(feature) if isinstance(feature, str) else None  # fmt: skip
        if made is None:
            raise ValueError(f"Invalid feature type: {feature}")
        return made()

    def _cross_of(self, cross: Any) -> Cross:
        if isinstance(cross, dict):
            cross = Cross(**cross.get("config", cross))
        made = cross if isinstance(cross, Cross) else Cross(cross, self.crossing_dim)
        if any(name not in self.features for name in made.feature_names):
            raise ValueError(
                "All features referenced in the `crosses` argument should be present in the "
                f"`features` dict. Received unknown features: {made.feature_names}"
            )
        return made

    def _input(self, name: str, feature: Feature) -> Any:
        return Input((1,), dtype=feature.dtype, name=name)

    # ---- learning -------------------------------------------------------------------------
    def adapt(self, dataset: Any) -> None:
        """Learns means, boundaries and vocabularies of a Dataset of dictionaries.

        Raises ValueError for anything but a Dataset.
        """
        from shardtape.data import Dataset

        if not isinstance(dataset, Dataset):
            raise ValueError(
                f"`adapt()` can only be called on a tf.data.Dataset. Received instead: {dataset} "
                f"(of type {type(dataset)})"
            )
        for name in self._to_learn():
            column = dataset.map(lambda row, name=name: row[name])
            rank = column.element_spec.shape.rank
            if rank == 0:
                column = column.batch(32)
            if rank in (0, 1):
                column = column.map(lambda x: expand_dims(x, -1))
            self.preprocessors[name].adapt(column)
        self._adapted = True
        self.get_encoded_features()  # builds the layers, and refuses what does not fit together

    def _to_learn(self) -> list[str]:
        found = []
        for name, layer in self.preprocessors.items():
            if not isinstance(layer, _LEARNING):
                continue
            given = getattr(layer, "input_mean", None) is not None
            given = given or getattr(layer, "input_bin_boundaries", None) is not None
            table = getattr(layer, "_lookup_layer", layer)
            given = given or getattr(table, "_has_input_vocabulary", False)
            if not given:
                found.append(name)
        return found

    def _check_adapted(self) -> None:
        if not self._adapted and self._to_learn():
            raise ValueError(
                "You need to call `.adapt(dataset)` on the FeatureSpace before you can start "
                "using it."
            )
        self._adapted = True

    # ---- use --------------------------------------------------------------------------------
    def get_inputs(self) -> dict[str, Any]:
        """A `tf.keras.Input` of shape (None, 1) for each column, to begin a model with."""
        self._check_adapted()
        return self.inputs

    def get_encoded_features(self) -> Any:
        """What the columns of `get_inputs` become, to go on with in a model."""
        self._check_adapted()
        if self._encoded is None:
            self._encoded = self._joined(self.inputs)
        return self._encoded

    def __call__(self, data: Mapping[str, Any]) -> Any:
        """The columns prepared: of several rows, or of one.

        Args:
          data: by name: values of shape (), (rows,) or (rows, 1).

        Raises:
          ValueError: what is no dictionary, or before `adapt`.
          KeyError: a column is missing (named).
        """
        self._check_adapted()
        if not isinstance(data, Mapping):
            raise ValueError(
                f"A FeatureSpace can only be called with a dict. Received: data={data} (of type "
                f"{type(data)}"
            )
        lacking = [name for name in self.features if name not in data]
        if lacking:
            raise KeyError(f"the data has no column {lacking[0]!r}; it has {sorted(data)}")
        columns: dict[str, Any] = {}
        alone = False
        for name in self.features:
            x = data[name]
            if not isinstance(x, (Tensor, SparseTensor, RaggedTensor)):
                x = convert_to_tensor(x)
            if isinstance(x, Tensor) and x.shape.rank == 0:
                x, alone = reshape(x, (1, 1)), True
            elif isinstance(x, Tensor) and x.shape.rank == 1:
                x = expand_dims(x, -1)
            columns[name] = x
        made = self._joined(columns)
        if not alone:
            return made
        if isinstance(made, dict):
            return {name: squeeze(x, [0]) for name, x in made.items()}
        return squeeze(made, [0])

    def _joined(self, columns: Mapping[str, Any]) -> Any:
        prepared = {name: layer(columns[name]) for name, layer in self.preprocessors.items()}
        crossed = {
            cross.name: self.crossers[cross.name]([prepared[n] for n in cross.feature_names])
            for cross in self.crosses
        }
        encoded = {n: self._encode(n, prepared[n], self.features[n]) for n in sorted(prepared)}
        for name in sorted(crossed):
            encoded[name] = self._encode(name, crossed[name], self.crosses_by_name[name])
        if self.output_mode == "dict":
            return encoded
        for name, x in encoded.items():
            if x.dtype.is_integer or x.dtype.name == "string":
                raise ValueError(
                    f"Cannot concatenate features because feature '{name}' has not been encoded "
                    f"(it has dtype {x.dtype.name}). Consider using `output_mode='dict'`."
                )
        members = list(encoded.values())
        return self._concat(members) if len(members) > 1 else members[0]

    def _encode(self, name: str, x: Any, spec: Any) -> Any:
        if spec.output_mode != "one_hot":
            return x
        if name not in self.one_hot_encoders:
            if not x.dtype.is_integer:
                raise ValueError(
                    f"Feature '{name}' has `output_mode='one_hot'`. Thus its preprocessor should "
                    f"return an int64 dtype. Instead it returns a {x.dtype.name} dtype."
                )
            layer = self.preprocessors.get(name) or self.crossers.get(name)
            self.one_hot_encoders[name] = CategoryEncoding(
                _places_of(name, layer), output_mode="multi_hot"
            )
        return self.one_hot_encoders[name](x)

    # ---- configuration --------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """Features and crosses; what `adapt` learned is not part of it."""
        return {
            "features": {n: {"class_name": "Feature", "config": f.get_config()}
                         for n, f in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [{"class_name": "Cross", "config": c.get_config()} for c in self.crosses],
            "crossing_dim": self.crossing_dim, "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureSpace:
        """A FeatureSpace of what `get_config` gave; it has learned nothing yet."""
        return cls(**config)

    def save(self, filepath: Any) -> None:
        """Writes it with what it has learned; `tf.keras.models.load_model` reads it.

        Raises ValueError for a name that does not end in `.keras`.
        """
        from shardtape.keras.saving.feature_space_files import save_feature_space

        save_feature_space(self, filepath)

    def _stateful_members(self) -> dict[str, Any]:
        """Layers by the names that Keras's files have for them."""
        return {"concat": self._concat, "crossers": self.crossers,
                "one_hot_encoders": self.one_hot_encoders,
                "preprocessors": self.preprocessors}  # fmt: skip


def _named(name: str | None) -> str | None:
    return None if name is None else f"{name}_preprocessor"


def _places_of(name: str, layer: Layer | PreprocessingLayer | None) -> int:
    """How many places a layer's results may have."""
    if isinstance(layer, (IntegerLookup, StringLookup)):
        return layer.vocabulary_size()
    if isinstance(layer, CategoryEncoding):
        return layer.num_tokens
    if isinstance(layer, (Discretization, Hashing, HashedCrossing)):
        if layer.num_bins is not None:
            return layer.num_bins
        return len(layer.bin_boundaries) + 1
    raise ValueError(
        f"Feature '{name}' has `output_mode='one_hot'`. However it isn't a standard feature and "
        "the dimensionality of its output space is not known, thus it cannot be one-hot encoded. "
        "Try using `output_mode='int'`."
    )
