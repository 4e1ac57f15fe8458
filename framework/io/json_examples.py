"""Examples that are written as JSON, in Protocol Buffers' own mapping."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from google.protobuf import json_format

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import op, same_as
from shardtape.protos.example_pb2 import Example
from shardtape.tensor import Tensor

_SHOWN_BYTES = 100
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def _serialized(text: bytes) -> bytes:
    example = Example()
    try:
        json_format.ParseDict(_plain(json.loads(text)), example)
    except (json_format.ParseError, ValueError) as error:
        raise errors.InvalidArgumentError(
            f"Error while parsing JSON: {error}; the text is {text[:_SHOWN_BYTES]!r}"
        ) from None
    return example.SerializeToString(deterministic=True)


def _plain(tree: Any) -> Any:
    """The tree without nulls, which TensorFlow leaves out. Raises ValueError."""
    if not isinstance(tree, dict):
        raise ValueError("Root element must be a message.")
    features = tree.get("features")
    entries = features.get("feature") if isinstance(features, dict) else None
    if isinstance(features, dict) and isinstance(entries, dict):
        entries = {key: _feature(key, value) for key, value in entries.items()}
        tree = {**tree, "features": {**features, "feature": entries}}
    return tree


def _feature(key: str, feature: Any) -> Any:
    if feature is None:
        return {}
    if not isinstance(feature, dict):
        return feature
    out = {}
    for kind, held in feature.items():
        if isinstance(held, dict) and "value" in held:
            given = held["value"]
            listed = given if isinstance(given, list) else [given]
            held = {**held, "value": [v for v in listed if v is not None]}
            if kind in ("bytesList", "bytes_list"):
                for v in held["value"]:
                    if not isinstance(v, str) or not _BASE64.fullmatch(v):
                        raise ValueError(f"feature {key!r}: {v!r} is no base64")
        out[kind] = held
    return out


@op("DecodeJSONExample", shape=same_as(0), dtype=dt.string, dtypes=frozenset((dt.string,)),
    dynamic=True, widen=False, differentiable=False,
    samples=lambda rng: [((np.array([
        # of numbers TensorFlow writes each with a tag of its own, which means the same
        b'{"features": {"feature": {"c": {"bytesList": {"value": ["aGk=", ""]}}}}}',
        b'{"features": {"feature": {"a": {"int64List": {}}}}}',
        b"{}"], object),), {})])  # fmt: skip
def decode_json_example_op(xp, json_examples):
    """Examples in JSON to serialised Examples; any shape."""
    array = np.asarray(json_examples, object)
    out = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        out[place] = _serialized(array[place])
    return out


def decode_json_example(json_examples: Any, name: str | None = None) -> Tensor:
    """Examples in JSON as serialised ones, which `parse_example` takes.

    Args:
      json_examples: strings of any shape; bytes are in base64, as Protocol Buffers write them.

    Raises:
      InvalidArgumentError: no JSON, fields that an Example does not have, or values that do not
        fit them.
    """
    return decode_json_example_op(convert_to_tensor(json_examples, dt.string), name=name)
