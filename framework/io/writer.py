"""`tf.io.TFRecordWriter`."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

from shardtape import errors, storage
from shardtape.records.record_writer import RecordWriter

_RECORDS_AT_ONCE = 64
_WAITING_BYTES = 1 << 20


class TFRecordOptions:
    """How a TFRecord file is written.

    Args:
      compression_type: "", "GZIP" or "ZLIB".
      compression_level: 0 to 9.
      The other arguments are accepted for TensorFlow's sake.
    """

    compression_type_map = {0: "", 1: "ZLIB", 2: "GZIP"}

    def __init__(
        self,
        compression_type: Any = None,
        flush_mode: Any = None,
        input_buffer_size: Any = None,
        output_buffer_size: Any = None,
        window_bits: Any = None,
        compression_level: int | None = None,
        compression_method: Any = None,
        mem_level: Any = None,
        compression_strategy: Any = None,
    ) -> None:
        self.compression_type = self.get_compression_type_string(compression_type)
        self.flush_mode, self.window_bits = flush_mode, window_bits
        self.input_buffer_size, self.output_buffer_size = input_buffer_size, output_buffer_size
        self.compression_level, self.compression_method = compression_level, compression_method
        self.mem_level, self.compression_strategy = mem_level, compression_strategy

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """The name of a compression: of a name, a number, or options. Raises ValueError."""
        if not options:
            return ""
        if isinstance(options, TFRecordOptions):
            return options.compression_type
        if options in cls.compression_type_map:
            return cls.compression_type_map[options]
        if options in cls.compression_type_map.values():
            return options
        raise ValueError(f"Not a valid compression_type: {options!r}")


class TFRecordWriter:
    """Writes records to a TFRecord file.

    Args:
      path: of the file; one that exists is replaced. Remote paths go through fsspec.
      options: TFRecordOptions, or the name of a compression.

    Example:
      >>> with tf.io.TFRecordWriter("data.tfrecord") as writer:
      ...     writer.write(example.SerializeToString())
    """

    def __init__(self, path: Any, options: Any = None) -> None:
        self._path = str(path)
        kind = TFRecordOptions.get_compression_type_string(options)
        storage.remove(self._path)
        self._file: Any = storage.open_new(self._path)
        level = getattr(options, "compression_level", None)
        level = -1 if level is None else level
        self._target: Any = self._file
        if kind == "GZIP":
            self._target = gzip.GzipFile(
                fileobj=self._file, mode="wb", compresslevel=6 if level < 0 else level
            )
        elif kind == "ZLIB":
            self._target = ZlibFile(self._file, level)
        self._writer = RecordWriter(self._target)
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def write(self, record: bytes) -> None:
        """Appends a record. Raises FailedPreconditionError after `close`."""
        if self._file is None:
            raise errors.FailedPreconditionError(f"Writer is closed: {self._path}")
        record = record.encode() if isinstance(record, str) else bytes(record)
        self._waiting.append(record)
        self._waiting_bytes += len(record)
        if len(self._waiting) >= _RECORDS_AT_ONCE or self._waiting_bytes > _WAITING_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        with storage.translated("write", self._path):
            self._writer.write_many(self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        if self._file is None:
            raise errors.FailedPreconditionError(f"Writer is closed: {self._path}")
        self._hand_over()
        with storage.translated("write", self._path):
            self._target.flush()
            self._file.flush()

    def close(self) -> None:
        """Ends the file; may be called twice."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            self._hand_over()
            with storage.translated("write", self._path):
                if self._target is not file:
                    self._target.close()
        finally:
            file.close()

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()


class ZlibFile:
    """Compresses what is written to a file as one zlib stream."""

    def __init__(self, file: Any, level: int = -1) -> None:
        self._file, self._packer = file, zlib.compressobj(level)

    def write(self, data: bytes) -> None:
        self._file.write(self._packer.compress(data))

    def flush(self) -> None:
        self._file.write(self._packer.flush(zlib.Z_SYNC_FLUSH))

    def close(self) -> None:
        self._file.write(self._packer.flush())
