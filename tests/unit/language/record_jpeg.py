"""Writes jpeg_2_15.json: small JPEG files, and what TensorFlow 2.15 decodes them to.

First `python record_jpeg.py files` where Pillow is installed, then `python record_jpeg.py pixels`
where TensorFlow 2.15 is.
"""

import base64
import hashlib
import io
import json
import pathlib
import sys

import numpy as np

FILE = pathlib.Path(__file__).with_name("jpeg_2_15.json")
CALLS = [
    {"channels": c, "fancy_upscaling": f, "dct_method": "INTEGER_FAST"}
    for c in (0, 1, 3) for f in (True, False)
] + [{}, {"dct_method": "INTEGER_ACCURATE"}]  # fmt: skip


def _made(picture: np.ndarray, mode: str = "RGB", sampling: int | None = None, **options) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(out, "JPEG", quality=97, **options)
    file = bytearray(out.getvalue())
    if sampling is not None:  # other blocks of colours; the picture is another then
        file[file.index(b"\xff\xc0") + 11] = sampling
    return bytes(file)


def files() -> dict[str, str]:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (19, 13, 3)).astype(np.uint8)
    square = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    made = {
        "one grid": _made(noise, subsampling=0),
        "half across": _made(noise, subsampling=1),
        "half both ways": _made(noise, subsampling=2),
        "half both ways, three wide": _made(noise[:, :3], subsampling=2),
        "half down": _made(square, subsampling=1, sampling=0x12),
        "quarter across": _made(square, subsampling=2, sampling=0x41),
        "gray": _made(noise, "L"),
        "progressive": _made(noise, progressive=True),
        "red, green and blue": _made(noise, keep_rgb=True),
    }
    return {name: base64.b64encode(file).decode() for name, file in made.items()}


def pixels() -> dict[str, list[str]]:
    import tensorflow as tf

    found = json.loads(FILE.read_text())["files"]
    return {
        name: [
            hashlib.sha256(tf.io.decode_jpeg(base64.b64decode(file), **call).numpy()).hexdigest()
            for call in CALLS
        ]
        for name, file in found.items()
    }


if __name__ == "__main__":
    body = {} if sys.argv[1] == "files" else json.loads(FILE.read_text())
    body |= {"files": files()} if sys.argv[1] == "files" else {"calls": CALLS, "pixels": pixels()}
    FILE.write_text(json.dumps(body, indent=1) + "\n")
