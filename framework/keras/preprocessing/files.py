"""Files in folders, one folder for each class, as lists of paths and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import errors
from shardtape.keras.progress_bar import tell


class Listing(NamedTuple):
    """Paths, their labels (None without), and the names of the classes."""

    paths: list[str]
    labels: np.ndarray | None
    class_names: list[Any]


def list_files(
    directory: Any, labels: Any, formats: Sequence[str], class_names: Any = None,
    shuffle: bool = True, seed: int | None = None, follow_links: bool = False,
) -> Listing:  # fmt: skip
    """All files of some endings below a folder, sorted by class and name, then shuffled.

    Args:
      labels: "inferred" from the folders, a list in the order of the files, or None.
      class_names: the folders, in the order of their labels.
      seed: of the order.

    Raises:
      NotFoundError: there is no such folder.
      ValueError: labels and files differ in number, or class names and folders.
    """
    folder = os.fspath(directory)
    if not os.path.isdir(folder):
        raise errors.NotFoundError(f"Could not find directory {folder}")
    inferred = isinstance(labels, str)
    found = sorted(d for d in os.listdir(folder) if os.path.isdir(os.path.join(folder, d)))
    names: list[Any] = list(class_names or found) if inferred else [""]
    if inferred and class_names and set(class_names) != set(found):
        raise ValueError(
            "The `class_names` passed did not match the names of the subdirectories of the target "
            f"directory. Expected: {found}, but received: {class_names}"
        )
    paths: list[str] = []
    numbers: list[int] = []
    for name in found if labels is not None else [""]:
        inside = _below(os.path.join(folder, name) if name else folder, formats, follow_links)
        paths += inside
        numbers += [names.index(name) if inferred else 0] * len(inside)
    if labels is not None and not inferred and len(labels) != len(paths):
        raise ValueError(
            "Expected the lengths of `labels` to match the number of files in the target "
            f"directory. len(labels) is {len(labels)} while we found {len(paths)} files in "
            f"directory {folder}."
        )
    given: np.ndarray | None = None
    if labels is not None:
        given = np.asarray(numbers, "int32") if inferred else np.asarray(labels)
        names = names if inferred else sorted(set(labels))
    tell(f"Found {len(paths)} files belonging to {len(names)} classes.")
    if shuffle:
        seed = int(np.random.randint(1_000_000)) if seed is None else seed
        np.random.RandomState(seed).shuffle(paths)
        if given is not None:
            np.random.RandomState(seed).shuffle(given)
    return Listing(paths, given, names)


def _below(folder: str, formats: Sequence[str], follow_links: bool) -> list[str]:
    found = []
    walked = sorted(os.walk(folder, followlinks=follow_links), key=lambda entry: entry[0])
    for root, _, files in walked:
        found += [os.path.join(root, f) for f in sorted(files)
                  if f.lower().endswith(tuple(formats))]  # fmt: skip
    return found


def check_split(share: float | None, subset: str | None, shuffle: bool, seed: Any) -> None:
    """Raises ValueError for a split that makes no sense."""
    if share and not 0 < share < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1, received: {share}")
    if (share or subset) and not (share and subset):
        raise ValueError("If `subset` is set, `validation_split` must be set, and inversely.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f'`subset` must be either "training", "validation" or "both", received: {subset}'
        )
    if share and shuffle and seed is None:
        raise ValueError(
            "If using `validation_split` and shuffling the data, you must provide a `seed` "
            "argument, to make sure that there is no overlap between the training and validation "
            "subset."
        )


def part_of(listing: Listing, share: float | None, subset: str | None) -> Listing:
    """The "training" or "validation" part of a listing; all of it without a share."""
    if not share:
        return listing
    held = int(share * len(listing.paths))
    border = len(listing.paths) - held
    if subset == "training":
        part = slice(0, border)
        tell(f"Using {border} files for training.")
    else:
        part = slice(border, None)
        tell(f"Using {held} files for validation.")
    labels = None if listing.labels is None else listing.labels[part]
    return Listing(listing.paths[part], labels, listing.class_names)
