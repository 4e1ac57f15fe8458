"""Signals in frames: cutting and adding them up, short-time spectra, the mel scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.cosine_transforms import dct
from shardtape.ops.fourier import irfft, rfft
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.segments import unsorted_segment_sum
from shardtape.ops.taper import hann_window

_Window = Callable[..., Any]


def frame(
    signal: Any, frame_length: Any, frame_step: Any, pad_end: bool = False, pad_value: Any = 0,
    axis: int = -1, name: str | None = None,
) -> Any:  # fmt: skip
    """Cuts an axis into frames: (..., samples, ...) to (..., frames, frame_length, ...).

    Args:
      frame_length, frame_step: samples in a frame, and from one to the next.
      pad_end: also the frames that reach over the end, filled with `pad_value`.

    Raises ValueError for an axis that is not there.
    """
    signal = convert_to_tensor(signal)
    length = _scalar(frame_length, "frame_length")
    step = _scalar(frame_step, "frame_step")
    rank = signal.shape.rank
    if rank is None:
        raise ValueError("frame needs a signal of known rank")
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of range for a signal of rank {rank}")
    axis %= rank
    count = array.shape(signal)[axis]
    if pad_end:
        frames = -(-count // step)
        missing = length + step * (frames - 1) - count
        missing = array.where(missing > 0, missing, array.zeros_like(missing))
        filling = [[0, 0]] * axis + [[0, missing]] + [[0, 0]] * (rank - axis - 1)
        signal = array.pad(signal, array.stack([array.stack(row) for row in filling]),
                           constant_values=pad_value)  # fmt: skip
    else:
        frames = 1 + (count - length) // step
        frames = array.where(frames > 0, frames, array.zeros_like(frames))
    starts = array.range(frames) * step
    places = starts[:, None] + array.range(length)[None, :]
    return array.gather(signal, places, axis=axis)


def _scalar(value: Any, name: str) -> Any:
    made = convert_to_tensor(value, dtype_hint=dt.int32)
    if made.shape.rank not in (0, None):
        raise ValueError(f"{name} must be a scalar, got the shape {made.shape}")
    return cast(made, dt.int32)


def overlap_and_add(signal: Any, frame_step: Any, name: str | None = None) -> Any:
    """Adds frames up where they overlap: (..., frames, frame_length) to (..., samples).

    Raises ValueError for a signal of rank below 2.
    """
    signal = convert_to_tensor(signal)
    if signal.shape.rank is not None and signal.shape.rank < 2:
        raise ValueError(f"signal must have rank of at least 2, got the shape {signal.shape}")
    step = _scalar(frame_step, "frame_step")
    sizes = array.shape(signal)
    outer, frames, length = sizes[:-2], sizes[-2], sizes[-1]
    places = array.range(frames)[:, None] * step + array.range(length)[None, :]
    total = length + step * (frames - 1)
    total = array.where(frames > 0, total, array.zeros_like(total))
    columns = array.transpose(array.reshape(signal, [-1, frames * length]))
    summed = unsorted_segment_sum(columns, array.reshape(places, [-1]), total)
    return array.reshape(array.transpose(summed), array.concat([outer, [total]], 0))


def _power_of_two(length: Any) -> Any:
    known = _known(length)
    if known is not None:
        return 1 << max(known - 1, 0).bit_length()
    powers = convert_to_tensor([1 << i for i in range(31)])
    return array.gather(powers, reduce_sum(cast(powers < length, dt.int32)))


def _known(value: Any) -> int | None:
    from shardtape.graph.grouping import get_static_value

    found = get_static_value(value)
    return None if found is None else int(found)


def stft(
    signals: Any, frame_length: Any, frame_step: Any, fft_length: Any = None,
    window_fn: _Window | None = hann_window, pad_end: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Spectra of the frames of real signals: (..., samples) to (..., frames, fft_length // 2 + 1).

    Args:
      fft_length: default the smallest power of two that holds a frame.
      window_fn: function of the length and `dtype=`; None for no window.
      pad_end: also the frames that reach over the end.
    """
    signals = convert_to_tensor(signals)
    length = _scalar(frame_length, "frame_length")
    size = _power_of_two(length) if fft_length is None else fft_length
    framed = frame(signals, length, frame_step, pad_end=pad_end)
    if window_fn is not None:
        framed = framed * window_fn(length, dtype=framed.dtype)
    return rfft(framed, array.reshape(_scalar(size, "fft_length"), [1]))


def inverse_stft_window_fn(
    frame_step: Any, forward_window_fn: _Window = hann_window, name: str | None = None
) -> _Window:
    """The window for `inverse_stft` that undoes `forward_window_fn` of `stft`."""

    def window(frame_length: Any, dtype: Any) -> Any:
        length, step = _scalar(frame_length, "frame_length"), _scalar(frame_step, "frame_step")
        forward = forward_window_fn(length, dtype=dtype)
        squared = forward * forward
        overlaps = -(-length // step)
        filled = array.pad(squared, array.stack([array.stack([0, overlaps * step - length])])[:])
        sums = reduce_sum(array.reshape(filled, array.stack([overlaps, step])), 0, keepdims=True)
        spread = array.reshape(array.tile(sums, array.stack([overlaps, 1])), [-1])
        return forward / spread[:length]

    return window


def inverse_stft(
    stfts: Any, frame_length: Any, frame_step: Any, fft_length: Any = None,
    window_fn: _Window | None = hann_window, name: str | None = None,
) -> Any:  # fmt: skip
    """Signals of spectra: (..., frames, fft_length // 2 + 1) to (..., samples).

    Args: as of `stft`; `inverse_stft_window_fn` gives the window that undoes stft's.
    """
    stfts = convert_to_tensor(stfts)
    length = _scalar(frame_length, "frame_length")
    size = _power_of_two(length) if fft_length is None else fft_length
    size = _scalar(size, "fft_length")
    frames = irfft(stfts, array.reshape(size, [1]))
    missing = length - size
    missing = array.where(missing > 0, missing, array.zeros_like(missing))
    rank = frames.shape.rank
    filling = [[0, 0]] * (rank - 1) + [[0, missing]]
    frames = array.pad(frames, array.stack([array.stack(row) for row in filling]))
    frames = frames[..., :length]
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=frames.dtype)
    return overlap_and_add(frames, frame_step)


# ---- the mel scale ----------------------------------------------------------------------------
_BREAK_HERTZ = 700.0
_MELS_PER_E = 1127.0


def _mels(hertz: Any) -> Any:
    return _MELS_PER_E * np.log1p(np.asarray(hertz, np.float64) / _BREAK_HERTZ)


def linear_to_mel_weight_matrix(
    num_mel_bins: int = 20, num_spectrogram_bins: Any = 129, sample_rate: Any = 8000,
    lower_edge_hertz: float = 125.0, upper_edge_hertz: float = 3800.0, dtype: Any = dt.float32,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Weights (num_spectrogram_bins, num_mel_bins) that gather a spectrum into mel bands.

    Args:
      sample_rate: of the signal, Hz.
      lower_edge_hertz, upper_edge_hertz: where the first band begins and the last one ends.

    Raises ValueError for edges that are out of order or beyond half the sample rate.
    """
    bins, rate = int(num_spectrogram_bins), float(sample_rate)
    if num_mel_bins <= 0:
        raise ValueError(f"num_mel_bins must be positive. Got: {num_mel_bins}")
    if lower_edge_hertz < 0.0:
        raise ValueError(f"lower_edge_hertz must be non-negative. Got: {lower_edge_hertz}")
    if lower_edge_hertz >= upper_edge_hertz:
        raise ValueError(f"lower_edge_hertz {lower_edge_hertz:.1f} >= upper_edge_hertz "
                         f"{upper_edge_hertz:.1f}")  # fmt: skip
    if rate <= 0.0:
        raise ValueError(f"sample_rate must be positive. Got: {rate}")
    if upper_edge_hertz > rate / 2:
        raise ValueError(
            "upper_edge_hertz must not be larger than the Nyquist frequency (sample_rate / 2). "
            f"Got {upper_edge_hertz} for sample_rate: {rate}"
        )
    kind = dt.as_dtype(dtype)
    if not kind.is_floating:
        raise ValueError(f"dtype must be a floating point type. Got: {kind.name}")
    places = _mels(np.linspace(0.0, rate / 2, bins)[1:])[:, None]
    edges = np.linspace(_mels(lower_edge_hertz), _mels(upper_edge_hertz), num_mel_bins + 2)
    lower, middle, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (places - lower) / (middle - lower), (upper - places) / (upper - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return convert_to_tensor(np.pad(weights, [[1, 0], [0, 0]]).astype(kind.numpy_dtype))


def mfccs_from_log_mel_spectrograms(log_mel_spectrograms: Any, name: str | None = None) -> Any:
    """Cepstral coefficients of logarithms of mel bands: (..., bands) to (..., bands).

    Raises ValueError where the number of bands is 0 or not known.
    """
    x = convert_to_tensor(log_mel_spectrograms)
    bands = x.shape[-1]
    if not bands:
        raise ValueError(f"num_mel_bins must be positive and known. Got: {log_mel_spectrograms}")
    return dct(x, type=2) * float(1 / np.sqrt(2.0 * bands))
