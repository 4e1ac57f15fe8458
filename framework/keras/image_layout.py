"""Keras's default layout of images."""

from __future__ import annotations

_LAYOUTS = ("channels_first", "channels_last")
_default = "channels_last"


def image_data_format() -> str:
    """The default layout of images: "channels_last" or "channels_first"."""
    return _default


def set_image_data_format(data_format: str) -> None:
    """Sets what layers and functions take from now on where no layout is given.

    Raises ValueError for another word than "channels_last" and "channels_first".
    """
    global _default
    if data_format not in _LAYOUTS:
        raise ValueError(
            f"Unknown `data_format`: {data_format}. Expected one of {{'channels_first', "
            "'channels_last'}"
        )
    _default = data_format


def layout_of(data_format: str | None) -> str:
    """A layout that was given, or the default. Raises ValueError for another word."""
    found = _default if data_format is None else str(data_format).lower()
    if found not in _LAYOUTS:
        raise ValueError(
            'The `data_format` argument must be one of "channels_first", "channels_last". '
            f"Received: {data_format}"
        )
    return found
