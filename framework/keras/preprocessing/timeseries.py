"""`tf.keras.utils.timeseries_dataset_from_array`: windows over a series as a Dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.data import Dataset
from shardtape.ops.array import gather
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import range as range_


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> Any:
    """A Dataset of windows over a series, or of (windows, targets).

    Args:
      data: the series; its first axis is time.
      targets: what belongs to the window that begins at the same index; None for windows alone.
      sequence_length: steps of a window.
      sequence_stride: between the windows.
      sampling_rate: between the steps of a window.
      batch_size: None gives single windows.
      shuffle: whether in random order, which `seed` decides.
      start_index, end_index: the part of `data` that is used.

    Raises ValueError for indices and lengths that make no sense.
    """
    length = len(data)
    for name, value in (("start_index", start_index), ("end_index", end_index)):
        if value is not None and not 0 <= value <= length - (name == "start_index"):
            raise ValueError(
                f"`{name}` must be between 0 and the length of the data ({length}). Received: "
                f"{name}={value}"
            )
    for name, value in (("sequence_stride", sequence_stride), ("sampling_rate", sampling_rate)):
        if not 0 < value < max(length, 2):
            raise ValueError(
                f"`{name}` must be higher than 0 and lower than the length of the data. Received: "
                f"{name}={value}, and data of length {length}."
            )
    first = start_index or 0
    last = length if end_index is None else end_index
    count = last - first - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets))
    starts = np.arange(0, count, sequence_stride, dtype="int32")
    if shuffle:
        seed = int(np.random.randint(1_000_000)) if seed is None else seed
        np.random.RandomState(seed).shuffle(starts)
    series = convert_to_tensor(data[first:last])
    wanted = None if targets is None else convert_to_tensor(targets[first:last])
    reach = sequence_length * sampling_rate

    def windows(start: Any) -> Any:
        # whole batches are cut at once: the order and the values are those of single windows
        at = start[:, None] if batch_size is not None else start
        zero = start[0] * 0 if batch_size is not None else start * 0
        # as in Keras the number of steps is not known to what follows
        found = gather(series, at + range_(zero, zero + reach, sampling_rate))
        return found if wanted is None else (found, gather(wanted, start))

    places = Dataset.from_tensor_slices(starts)
    if shuffle:
        places = places.shuffle(1024 if batch_size is None else batch_size * 8, seed=seed)
    if batch_size is not None:
        places = places.batch(batch_size)
    return places.map(windows, num_parallel_calls=-1).prefetch(-1)
