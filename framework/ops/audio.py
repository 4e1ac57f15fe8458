"""WAV files of 16-bit PCM: to floats from -1 to 1 and back."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any, NamedTuple

import numpy as np

from shardtape import backend, errors
from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.text import STRING, objects
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_FULL_SCALE = 1 << 15  # the integer of 1.0
_PCM = 1
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")  # RIFF, "fmt " of 16 bytes, "data"
_FORMAT = struct.Struct("<HHIIHH")


class DecodeWav(NamedTuple):
    """What `tf.audio.decode_wav` gives: float32 (samples, channels), and int32 samples per s."""

    audio: Tensor
    sample_rate: Tensor


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a RIFF file up to "data". Raises ValueError for what is none or is cut off."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"no WAV file: it starts with {data[:12]!r}, not with RIFF....WAVE")
    found: dict[bytes, bytes] = {}
    at = 12
    while b"data" not in found:
        if at + 8 > len(data):
            raise ValueError("the WAV file ends before its chunk 'data'")
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            raise ValueError(
                f"the WAV file is cut off: its chunk {kind.decode('latin-1')!r} has {size} bytes, "
                f"{len(body)} are there"
            )
        found[kind] = body
        at += 8 + size + size % 2  # chunks start at even places
    return found


def _samples(data: bytes) -> tuple[np.ndarray, int]:
    """int16 (samples, channels), and samples per second."""
    chunks = _chunks(data)
    layout = chunks.get(b"fmt ", b"")
    if len(layout) < _FORMAT.size:
        raise ValueError("the WAV file has no whole chunk 'fmt ' before its data")
    kind, channels, rate, _, _, bits = _FORMAT.unpack_from(layout)
    if kind != _PCM or bits != 16:
        raise ValueError(f"only PCM of 16 bits is read: the file has format {kind}, {bits} bits")
    if not channels:
        raise ValueError("the WAV file has no channels")
    body = chunks[b"data"]
    whole = len(body) // (2 * channels) * 2 * channels
    return np.frombuffer(body[:whole], "<i2").reshape(-1, channels), rate


def _decoded_shape(contents: Arg, *, desired_channels: int, desired_samples: int) -> Any:
    if contents.shape.rank not in (None, 0):
        raise ValueError(f"contents must be a scalar, got shape {contents.shape}")
    sizes = [None if n < 0 else n for n in (desired_samples, desired_channels)]
    return [TensorShape(sizes), TensorShape([])]


def wav_file(samples: Any, rate: int) -> bytes:
    """The bytes of a WAV file of 16-bit PCM: samples (samples, channels) from -1 to 1."""
    scaled = np.asarray(samples, np.float32) * np.float32(_FULL_SCALE)
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)  # halves go away from zero
    body = np.clip(rounded, -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2").tobytes()
    channels = samples.shape[1]
    return _HEADER.pack(
        b"RIFF", _HEADER.size - 8 + len(body), b"WAVE", b"fmt ", _FORMAT.size, _PCM, channels, rate,
        rate * channels * 2, channels * 2, 16, b"data", len(body),
    ) + body  # fmt: skip


def _read_by_wave(contents: Any, desired_channels: int = -1, desired_samples: int = -1) -> Any:
    """The same by the standard library, which the checks compare with."""
    with wave.open(io.BytesIO(np.asarray(contents, object).item())) as file:
        count, rate = file.getnchannels(), file.getframerate()
        flat = struct.unpack(f"<{file.getnframes() * count}h", file.readframes(file.getnframes()))
    rows = [[v / 32768 for v in flat[i : i + count]] for i in range(0, len(flat), count)]
    if desired_channels >= 0:
        rows = [(row + [row[-1]] * desired_channels)[:desired_channels] for row in rows]
    if desired_samples >= 0:
        rows = (rows + [[0.0] * len(rows[0])] * desired_samples)[:desired_samples]
    return np.array(rows, np.float32), np.int32(rate)


def _written_by_wave(audio: Any, sample_rate: Any) -> Any:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        values = [min(max(round(float(v) * 32768), -32768), 32767) for v in audio.reshape(-1)]
        file.writeframes(struct.pack(f"<{len(values)}h", *values))
    return objects([out.getvalue()], (1,)).reshape(())


def _wav_samples(rng: np.random.Generator) -> Any:
    made = wav_file(rng.uniform(-1, 1, (5, 2)), 8000)
    given = objects([made], (1,)).reshape(())
    return [
        ((given,), {}),
        ((given,), {"desired_channels": 1, "desired_samples": 3}),
        ((given,), {"desired_channels": 3, "desired_samples": 7}),
    ]


@op("DecodeWav", dtypes=STRING, dtype=lambda dtypes, attrs: (dt.float32, dt.int32), outputs=2,
    shape=_decoded_shape, dynamic=True, differentiable=False, widen=False,
    samples=_wav_samples, reference=_read_by_wave)  # fmt: skip
def decode_wav_op(xp, contents, *, desired_channels=-1, desired_samples=-1):
    """The samples of a WAV file, cut or filled up with zeros; a missing channel is the last."""
    if np.ndim(contents):
        raise ValueError(f"contents must be a scalar, got shape {list(np.shape(contents))}")
    found, rate = _samples(np.asarray(contents, object).item())
    if desired_channels >= 0:
        found = found[:, np.minimum(np.arange(desired_channels), found.shape[1] - 1)]
    if desired_samples >= 0:
        found = found[:desired_samples]
        found = np.pad(found, [(0, desired_samples - len(found)), (0, 0)])
    return (found / np.float32(_FULL_SCALE)).astype(np.float32), np.int32(rate)


@op("EncodeWav", dtypes=frozenset((dt.float32,)), dtype=dt.string, mixed=True,
    host=("sample_rate",), shape=lambda audio, sample_rate: TensorShape([]),
    differentiable=False, widen=False, reference=_written_by_wave, samples=lambda rng: [
        ((rng.uniform(-1.5, 1.5, (4, 2)).astype(np.float32), np.int32(8000)), {})
    ])  # fmt: skip
def encode_wav_op(xp, audio, sample_rate):
    """The WAV file of samples; what is beyond -1 and 1 is clipped."""
    samples = np.asarray(backend.to_host(audio))
    if samples.ndim != 2 or not samples.shape[1]:
        raise ValueError(f"audio must be (samples, channels), got shape {list(samples.shape)}")
    return objects([wav_file(samples, int(sample_rate))], (1,)).reshape(())


def decode_wav(
    contents: Any, desired_channels: int = -1, desired_samples: int = -1, name: str | None = None
) -> DecodeWav:
    """The samples of a WAV file of 16-bit PCM.

    Args:
      contents: the file's bytes, a scalar string.
      desired_channels: cut to so many, or the last one repeated; -1: as in the file.
      desired_samples: cut to so many, or filled up with zeros; -1: as in the file.

    Returns:
      audio: float32 (samples, channels) from -1 to 1.
      sample_rate: int32, samples per second.

    Raises:
      InvalidArgumentError: no WAV file, one that is cut off, or another encoding.
    """
    return DecodeWav(
        *decode_wav_op(
            contents, desired_channels=desired_channels, desired_samples=desired_samples, name=name
        )
    )


def encode_wav(audio: Any, sample_rate: Any, name: str | None = None) -> Tensor:
    """The WAV file of `audio` (samples, channels), clipped to -1..1, as a scalar string.

    Raises InvalidArgumentError for another rank.
    """
    audio = convert_to_tensor(audio, None if hasattr(audio, "dtype") else dt.float32)
    if audio.dtype is not dt.float32:
        raise errors.InvalidArgumentError(
            f"audio must be float32, got {audio.dtype.name}: use tf.cast"
        )
    return encode_wav_op(audio, convert_to_tensor(sample_rate, dt.int32), name=name)


__all__ = ["DecodeWav", "decode_wav", "encode_wav", "wav_file"]
