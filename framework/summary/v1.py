"""TF1's summaries: protos with `simple_value`, `histo` and `image`, and `FileWriter`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from shardtape import errors, storage
from shardtape.summary import encoding, png
from shardtape.summary.buckets import exponential_buckets
from shardtape.summary.event_file_writer import DEADLINE_S, EventFileWriter
from shardtape.summary.summaries import graph_def_bytes


def scalar_summary(tags: Any, values: Any) -> bytes:
    """A serialised Summary of one value per tag (op ScalarSummary).

    Raises:
      InvalidArgumentError: the two differ in shape.
    """
    from tensorboard.compat.proto import summary_pb2

    names, numbers = np.asarray(tags), np.asarray(values)
    if names.shape != numbers.shape:
        raise errors.InvalidArgumentError(
            f"tags and values are not the same shape: {names.shape} != {numbers.shape}"
            f"{f' (tag {names[()]!r})' if not names.ndim else ''}"
        )
    summary = summary_pb2.Summary()
    for name, number in zip(names.ravel(), numbers.ravel(), strict=True):
        summary.value.add(tag=_name(name), simple_value=float(number))
    return summary.SerializeToString()


def histogram_summary(tag: Any, values: Any) -> bytes:
    """A serialised Summary with a HistogramProto (op HistogramSummary).

    Raises:
      InvalidArgumentError: a value is not finite.
    """
    from tensorboard.compat.proto import summary_pb2

    array = np.asarray(values)
    found = exponential_buckets(array)
    if found.num != array.size:
        kind = "Nan" if np.isnan(array.astype(np.float64)).any() else "Infinity"
        raise errors.InvalidArgumentError(f"{kind} in summary histogram for: {_name(tag)}")
    summary = summary_pb2.Summary()
    histo = summary.value.add(tag=_name(tag)).histo
    histo.min, histo.max, histo.num = found.min, found.max, found.num
    histo.sum, histo.sum_squares = found.sum, found.sum_squares
    histo.bucket_limit.extend(found.limits)
    histo.bucket.extend(found.counts)
    return summary.SerializeToString()


def image_summary(tag: Any, tensor: Any, max_images: int = 3) -> bytes:
    """A serialised Summary of pictures (op ImageSummary).

    Args:
      tag: a single picture is called `tag/image`, several `tag/image/0` and so on.
      tensor: (pictures, height, width, channels) with 1, 3 or 4 channels; uint8, or floating
        point, of which each picture is scaled by itself: to [0, 255] if no value is negative,
        else so that zero is 127.
      max_images: the first so many are kept.

    Raises:
      InvalidArgumentError: another shape.
    """
    from tensorboard.compat.proto import summary_pb2

    pixels = np.asarray(tensor)
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3, 4):
        raise errors.InvalidArgumentError(
            f"Tensor must be 4-D with last dim 1, 3, or 4, not [{','.join(map(str, pixels.shape))}]"
        )
    pictures = pixels[:max_images]
    summary = summary_pb2.Summary()
    for index, picture in enumerate(pictures):
        name = f"{_name(tag)}/image" + ("" if max_images == 1 else f"/{index}")
        shown = picture if picture.dtype == np.uint8 else _normalized(picture.astype(np.float32))
        image = summary.value.add(tag=name).image
        image.height, image.width, image.colorspace = picture.shape
        image.encoded_image_string = png.encode(shown)
    return summary.SerializeToString()


def _normalized(picture: np.ndarray) -> np.ndarray:
    """TensorFlow's scaling of one floating-point picture; not-finite pixels are shown red."""
    bad = ~np.isfinite(picture).all(axis=2)
    kept = picture[~bad]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    if low < 0:
        largest = max(abs(low), abs(high))
        scale, offset = (0.0 if largest < 1e-6 else 127.0 / largest), 128.0
    else:
        scale, offset = (0.0 if high < 1e-6 else 255.0 / high), 0.0
    scaled = np.nan_to_num(picture) * np.float32(scale) + np.float32(offset)
    out = np.clip(scaled, 0, 255).astype(np.uint8)
    red = {1: (255,), 3: (255, 0, 0), 4: (255, 0, 0, 255)}[picture.shape[2]]
    out[bad] = red
    return out


def text_summary(tag: Any, values: Any) -> bytes:
    """A serialised Summary of strings for the Text page."""
    metadata = encoding.plugin_metadata("text")
    return encoding.summary_bytes(_name(tag), encoding.tensor_proto(values), metadata)


def merge_summaries(summaries: Any) -> bytes:
    """One serialised Summary of several (op MergeSummary).

    Raises:
      InvalidArgumentError: a tag comes twice, or one of them is no Summary.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import summary_pb2

    merged = summary_pb2.Summary()
    tags: set[str] = set()
    for item in summaries:
        for data in np.asarray(item, object).ravel():
            try:
                found = summary_pb2.Summary.FromString(data)
            except (DecodeError, TypeError) as error:
                raise errors.InvalidArgumentError(
                    "Could not parse one of the summary inputs"
                ) from error
            for value in found.value:
                if value.tag in tags:
                    raise errors.InvalidArgumentError(
                        f"Duplicate tag {value.tag} found in summary inputs"
                    )
                tags.add(value.tag)
                merged.value.append(value)
    return merged.SerializeToString()


def _name(tag: Any) -> str:
    item = np.asarray(tag, object)[()] if not isinstance(tag, (str, bytes)) else tag
    return item.decode() if isinstance(item, bytes) else str(item)


class FileWriter:
    """TF1's writer of an event file.

    Args:
      logdir: folder, made if missing.
      graph: written at once for the Graphs page, if given.
      max_queue: accepted for TensorFlow's sake: 64 MiB of events may wait here.
      flush_secs: seconds after which they are written however few.
      graph_def: a GraphDef, deprecated by TensorFlow in favour of `graph`.
      filename_suffix: end of the file's name.
      session: accepted for TensorFlow's sake, without effect.
    """

    def __init__(
        self,
        logdir: storage.Path,
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ) -> None:
        self._options = (logdir, None, flush_secs, filename_suffix or "")
        self._events = EventFileWriter(*self._options)
        self._described: set[str] = set()
        if graph is not None or graph_def is not None:
            self.add_graph(graph, graph_def=graph_def)

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def get_logdir(self) -> str:
        """The folder of the event file."""
        return self._events.logdir

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Adds a Summary: a proto, or its bytes as `sess.run(merged)` gives them.

        Descriptions and plugin data are kept for the first value of each tag only.
        """
        from tensorboard.compat.proto import summary_pb2

        if isinstance(summary, bytes):
            data = summary
            summary = summary_pb2.Summary.FromString(data)
        else:
            data = summary.SerializeToString()
        if any(value.HasField("metadata") for value in summary.value):
            data = self._without_known_metadata(summary_pb2.Summary.FromString(data))
        self._events.add_record(encoding.event(_step(global_step), data))

    def _without_known_metadata(self, summary: Any) -> bytes:
        for value in summary.value:
            if not value.HasField("metadata"):
                continue
            if value.tag in self._described:
                value.ClearField("metadata")
            else:
                self._described.add(value.tag)
        return summary.SerializeToString()

    def add_graph(self, graph: Any = None, global_step: Any = None, graph_def: Any = None) -> None:
        """Adds a Graph or a GraphDef for the Graphs page.

        Raises:
          ValueError: neither is given.
        """
        chosen = graph if graph is not None else graph_def
        if chosen is None:
            raise ValueError("The argument graph or graph_def must be provided")
        data = graph_def_bytes(chosen)
        self._events.add_record(encoding.graph_event(data, _step(global_step)))

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Adds a MetaGraphDef proto."""
        from tensorboard.compat.proto import event_pb2

        event = event_pb2.Event(meta_graph_def=meta_graph_def.SerializeToString())
        self._add(event, global_step)

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Adds the RunMetadata proto of one `sess.run`.

        Raises:
          ValueError: the tag was used before.
        """
        from tensorboard.compat.proto import event_pb2

        if f"run_metadata:{tag}" in self._described:
            raise ValueError("The provided tag was already used for this event type")
        self._described.add(f"run_metadata:{tag}")
        event = event_pb2.Event()
        event.tagged_run_metadata.tag = tag
        event.tagged_run_metadata.run_metadata = run_metadata.SerializeToString()
        self._add(event, global_step)

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Adds a SessionLog proto: start, stop or checkpoint of a session."""
        from tensorboard.compat.proto import event_pb2

        event = event_pb2.Event()
        event.session_log.ParseFromString(session_log.SerializeToString())
        self._add(event, global_step)

    def _add(self, event: Any, global_step: Any) -> None:
        event.wall_time = time.time()
        event.step = _step(global_step)
        self._events.add_event(event)

    def add_event(self, event: Any) -> None:
        """Adds an Event proto as it is."""
        self._events.add_event(event)

    def flush(self) -> None:
        """Waits until all events so far are in the file."""
        self._events.flush()

    def close(self) -> None:
        """Flushes and closes; a second call does nothing."""
        self._events.close(DEADLINE_S)

    def reopen(self) -> None:
        """Opens a new event file after `close`; does nothing while the writer is open."""
        if self._events.closed:
            self._events = EventFileWriter(*self._options)
            self._described = set()


def _step(global_step: Any) -> int:
    return 0 if global_step is None else int(np.asarray(global_step))
