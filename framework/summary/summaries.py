"""`tf.summary.scalar` and its sisters: a value, a name and a step into the default writer.

Each returns True if the summary was recorded and False if there is no default writer or
`record_if` says no; then the data is not even looked at. In a function that is being traced they
add an operation which writes at each run, and return a tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import errors
from shardtape.ops.audio import wav_file
from shardtape.summary import encoding as protos
from shardtape.summary import png
from shardtape.summary.buckets import DEFAULT_BUCKETS, linear_buckets
from shardtape.summary.deferred import defer, in_graph
from shardtape.summary.writer import full_tag, resolve_step, target

DEFAULT_MAX_OUTPUTS = 3


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Writes one point of a curve for the Scalars and Time Series pages.

    Args:
      name: of the curve; name scopes are put in front.
      data: number or scalar tensor; stored as float32.
      step: place on the horizontal axis; the default step if None.
      description: Markdown shown beside the chart.

    Raises:
      InvalidArgumentError: `data` is no single number.
      ValueError: there is no step.

    Example:
      >>> with tf.summary.create_file_writer("runs/a").as_default():
      ...     tf.summary.scalar("loss", 0.5, step=1)
      True
    """
    if in_graph():
        return defer(lambda x, at: scalar(name, x, at, description), [data], step)
    writer = target()
    if writer is None:
        return False
    if type(data) is not float:
        data = _single(name, data)
    template = protos.scalar_template(full_tag(name), description)
    writer.add_record(protos.scalar_event(template, data, resolve_step(step)))
    return True


def _single(name: str, data: Any) -> float:
    value = np.asarray(data)
    if value.ndim or value.dtype.kind not in "iufbV":
        raise errors.InvalidArgumentError(
            f"scalar summary {name!r} expects one number, got {value.dtype} of shape {value.shape}"
        )
    return float(value)


def histogram(
    name: str,
    data: Any,
    step: Any = None,
    buckets: int | None = None,
    description: str | None = None,
) -> bool:
    """Writes the distribution of values for the Histograms and Distributions pages.

    Args:
      name: of the series; name scopes are put in front.
      data: numbers, any shape; not-finite ones are left out.
      step: the default step if None.
      buckets: of equal width from the smallest to the largest value; 30 if None.
      description: Markdown shown beside the chart.

    Raises:
      ValueError: there is no step.
    """
    if in_graph():
        return defer(lambda x, at: histogram(name, x, at, buckets, description), [data], step)
    writer = target()
    if writer is None:
        return False
    count = DEFAULT_BUCKETS if buckets is None else max(0, int(buckets))
    table = linear_buckets(np.asarray(data), count)
    metadata = protos.plugin_metadata("histograms", description)
    return _record(writer, name, protos.tensor_proto(table), step, metadata)


def image(
    name: str,
    data: Any,
    step: Any = None,
    max_outputs: int = DEFAULT_MAX_OUTPUTS,
    description: str | None = None,
) -> bool:
    """Writes pictures for the Images page.

    Args:
      name: of the series; name scopes are put in front.
      data: (pictures, height, width, channels) with 1 (grey), 2 (grey and alpha), 3 (RGB) or
        4 (RGBA) channels; floating point in [0, 1], or uint8.
      step: the default step if None.
      max_outputs: pictures kept of `data`, the first ones.
      description: Markdown shown beside the pictures.

    Raises:
      InvalidArgumentError: another shape.
      ValueError: there is no step.
    """
    if in_graph():
        return defer(lambda x, at: image(name, x, at, max_outputs, description), [data], step)
    writer = target()
    if writer is None:
        return False
    pixels = np.asarray(data)
    if pixels.ndim != 4:
        raise errors.InvalidArgumentError(
            f"image summary {name!r} expects shape (pictures, height, width, channels), got "
            f"{pixels.shape}"
        )
    if max_outputs < 0:
        raise errors.InvalidArgumentError(
            f"image summary {name!r}: max_outputs must not be negative, got {max_outputs}"
        )
    pictures = [png.encode(p) for p in png.to_bytes_range(pixels[:max_outputs])]
    _, height, width, _ = pixels.shape
    items = [str(width).encode(), str(height).encode(), *pictures]
    tensor = protos.tensor_proto(np.array(items, object))
    metadata = protos.plugin_metadata("images", description)
    return _record(writer, name, tensor, step, metadata)


_WAV = b"\x10\x0b"  # the message of the page's plugin: its field 2, the encoding, is WAV


def audio(
    name: str,
    data: Any,
    sample_rate: Any,
    step: Any = None,
    max_outputs: int = DEFAULT_MAX_OUTPUTS,
    encoding: str | None = None,
    description: str | None = None,
) -> bool:
    """Writes sounds for the Audio page.

    Args:
      name: of the series; name scopes are put in front.
      data: (sounds, samples, channels), floating point from -1 to 1; what is beyond is clipped.
      sample_rate: samples per second.
      step: the default step if None.
      max_outputs: sounds kept of `data`, the first ones.
      encoding: "wav" or None, which is the same today.
      description: Markdown shown beside the sounds.

    Raises:
      InvalidArgumentError: another shape.
      ValueError: there is no step, or another encoding.
    """
    if in_graph():
        return defer(
            lambda x, rate, at: audio(name, x, rate, at, max_outputs, encoding, description),
            [data, sample_rate], step,
        )  # fmt: skip
    writer = target()
    if writer is None:
        return False
    if encoding not in (None, "wav"):
        raise ValueError(f"Unknown encoding: {encoding!r}")
    sounds = np.asarray(data)
    if sounds.ndim != 3:
        raise errors.InvalidArgumentError(
            f"audio summary {name!r} expects shape (sounds, samples, channels), got {sounds.shape}"
        )
    if max_outputs < 0:
        raise errors.InvalidArgumentError(
            f"audio summary {name!r}: max_outputs must not be negative, got {max_outputs}"
        )
    files = [wav_file(sound, int(sample_rate)) for sound in sounds[:max_outputs]]
    tensor = protos.tensor_proto(np.array(files, object))
    metadata = protos.plugin_metadata("audio", description, _WAV)
    return _record(writer, name, tensor, step, metadata)


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> bool:
    """Writes text (Markdown) for the Text page.

    Args:
      name: of the series; name scopes are put in front.
      data: a string, or strings in one or two dimensions, which are shown as a table.
      step: the default step if None.
      description: Markdown shown beside it.

    Raises:
      InvalidArgumentError: `data` holds something else than strings.
      ValueError: there is no step.
    """
    if in_graph():
        return defer(lambda x, at: text(name, x, at, description), [data], step)
    writer = target()
    if writer is None:
        return False
    strings = np.asarray(data)
    if strings.dtype.kind not in "OSUT":
        raise errors.InvalidArgumentError(
            f"text summary {name!r} expects strings, got {strings.dtype}"
        )
    metadata = protos.plugin_metadata("text", description)
    return _record(writer, name, protos.tensor_proto(strings), step, metadata)


def write(
    tag: str, tensor: Any, step: Any = None, metadata: Any = None, name: str | None = None
) -> bool:
    """Writes any tensor under a full tag, for a plugin named in `metadata`.

    Args:
      tag: full name; no scopes are put in front.
      tensor: numbers or strings, or a function of no arguments that makes them when needed.
      step: the default step if None.
      metadata: a SummaryMetadata proto (or its bytes), or None.
      name: accepted for TensorFlow's sake, without effect.

    Raises:
      ValueError: there is no step.
    """
    if in_graph():
        given = tensor() if callable(tensor) else tensor
        return defer(lambda x, at: write(tag, x, at, metadata), [given], step)
    writer = target()
    if writer is None:
        return False
    value = tensor() if callable(tensor) else tensor
    summary = protos.summary_bytes(tag, protos.tensor_proto(value), metadata)
    writer.add_record(protos.event(resolve_step(step), summary))
    return True


def write_raw_pb(tensor: Any, step: Any = None, name: str | None = None) -> bool:
    """Writes a serialised Summary (bytes or a scalar string tensor) as it is."""
    if in_graph():
        return defer(lambda x, at: write_raw_pb(bytes(x), at), [tensor], step)
    writer = target()
    if writer is None:
        return False
    summary: Any = np.asarray(tensor, object)[()] if not isinstance(tensor, bytes) else tensor
    writer.add_record(protos.event(resolve_step(step), summary))
    return True


def graph(graph_data: Any) -> bool:
    """Writes a graph for the Graphs page.

    Args:
      graph_data: a Graph, a GraphDef proto, or its bytes.

    Raises:
      InvalidArgumentError: something else.
    """
    writer = target()
    if writer is None:
        return False
    writer.add_record(protos.graph_event(graph_def_bytes(graph_data), step=0))
    return True


def graph_def_bytes(graph_data: Any) -> bytes:
    """The serialised GraphDef of a Graph, a GraphDef or bytes."""
    if isinstance(graph_data, bytes):
        return graph_data
    if hasattr(graph_data, "as_graph_def"):
        graph_data = graph_data.as_graph_def(add_shapes=True)
    if not hasattr(graph_data, "SerializeToString"):
        raise errors.InvalidArgumentError(
            f"expected a Graph, a GraphDef or its bytes, got {type(graph_data).__name__}"
        )
    return graph_data.SerializeToString(deterministic=True)


def _record(writer: Any, name: str, tensor: Any, step: Any, metadata: Any) -> bool:
    summary = protos.summary_bytes(full_tag(name), tensor, metadata)
    writer.add_record(protos.event(resolve_step(step), summary))
    return True
