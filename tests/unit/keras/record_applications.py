"""Records what the networks of `tf.keras.applications` are made of, and what they compute.

Run with an installed TensorFlow 2.15; writes applications_2_15.json beside this file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

# (network, arguments beside weights=None)
STRUCTURES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in (
        "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large",
        "ResNet50", "ResNet101", "ResNet152", "ResNet50V2",
        "ResNet101V2", "ResNet152V2", "VGG16", "VGG19", "InceptionV3", "Xception",
        "DenseNet121", "DenseNet169", "DenseNet201",
        "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
        "EfficientNetB5", "EfficientNetB6", "EfficientNetB7",
        "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
        "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L",
    )],
    *[(name, {"include_top": False, "input_shape": (96, 97, 3), "pooling": "avg"}) for name in (
        "MobileNet", "MobileNetV2", "MobileNetV3Small", "ResNet50", "ResNet50V2",
        "VGG16", "InceptionV3", "Xception",
        "DenseNet121", "EfficientNetB0", "EfficientNetV2B0",
    )],
    ("MobileNet", {"alpha": 0.5, "input_shape": (128, 128, 3), "classes": 7}),
    ("MobileNetV3Large", {"minimalistic": True, "alpha": 0.75, "classes": 5}),
    ("Xception", {"include_top": False}),
    *[(name, {}) for name in (
        "NASNetMobile", "NASNetLarge", "InceptionResNetV2", "ConvNeXtTiny", "ConvNeXtSmall",
        "ConvNeXtBase", "ConvNeXtLarge",
    )],
    *[(f"RegNet{kind}{size}", {}) for kind in "XY" for size in (
        "002", "004", "006", "008", "016", "032", "040", "064", "080", "120", "160", "320",
    )],
    *[(name, {"include_top": False, "input_shape": (96, 97, 3), "pooling": "avg"}) for name in (
        "NASNetMobile", "InceptionResNetV2", "ConvNeXtTiny", "RegNetX002", "RegNetY004",
    )],
    *[(name, {"include_preprocessing": False, "model_name": "small", "classes": 5}) for name in (
        "ConvNeXtTiny", "RegNetY002",
    )],
    ("InceptionResNetV2", {"include_top": False}),
    *[(f"ResNetRS{depth}", {}) for depth in (50, 101, 152, 200)],
    *[(f"ResNetRS{depth}", {"include_top": False, "input_shape": (96, 97, 3), "pooling": "avg"})
      for depth in (50, 270, 350, 420)],
    ("ResNetRS50", {"include_preprocessing": False, "classes": 5}),
]  # fmt: skip
# networks with numbers for weights, on small images
COMPUTED: list[tuple[str, dict[str, Any], int]] = [
    ("MobileNet", {"alpha": 0.25}, 32),
    ("MobileNetV2", {"alpha": 0.35}, 33),
    ("MobileNetV3Small", {}, 33),
    ("MobileNetV3Large", {"alpha": 0.75}, 32),
    ("ResNet50V2", {}, 32),
    ("DenseNet121", {}, 32),
    ("Xception", {}, 71),
    ("InceptionV3", {}, 75),
    ("EfficientNetB0", {}, 33),
    ("EfficientNetV2B0", {}, 32),
    ("NASNetMobile", {}, 64),
    ("InceptionResNetV2", {}, 75),
    ("ConvNeXtTiny", {}, 32),
    ("RegNetX002", {}, 33),
    ("RegNetY002", {}, 32),
    ("ResNetRS50", {}, 33),
]


def digest(model: Any, before: Any) -> str:
    """A fingerprint of classes, names, shapes and connections of all layers."""

    def sizes(shape: Any) -> Any:
        return list(shape[0] if isinstance(shape, list) else shape)

    told = [
        [type(x).__name__, x.name, [list(w.shape) for w in x.weights], sizes(x.output_shape),
         before(x)]
        for x in model.layers
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def structure(model: Any, before: Any) -> dict[str, Any]:
    """What is recorded of a network; `before` gives the names of the layers before one."""
    return {
        "name": model.name,
        "params": model.count_params(),
        "layers": len(model.layers),
        "digest": digest(model, before),
    }


def numbers(model: Any, size: int) -> np.ndarray:
    """The features of two images, with weights that depend on their places."""
    arrays = []
    for i, w in enumerate(model.get_weights()):
        generator = np.random.RandomState(i)
        if w.ndim > 1:
            spread = np.sqrt(3.0 / max(1, w.size // w.shape[-1]))
            arrays.append(generator.uniform(-spread, spread, w.shape))
        else:  # scales, shifts, means, variances
            arrays.append(generator.uniform(0.5, 1.0, w.shape))
    model.set_weights(arrays)
    images = np.random.RandomState(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    return np.asarray(model(images, training=False)).reshape(2, -1)


def computed(features: np.ndarray) -> list[float]:
    """The numbers that are recorded of features."""
    return [float(np.abs(features).mean()), *[float(x) for x in features[1, :4]]]


def main() -> None:
    import tensorflow as tf

    def before(layer: Any) -> list[str]:
        found = layer.inbound_nodes[0].inbound_layers
        return [x.name for x in (found if isinstance(found, list) else [found])]

    out: dict[str, Any] = {"structures": [], "computed": []}
    for name, options in STRUCTURES:
        tf.keras.backend.clear_session()
        model = getattr(tf.keras.applications, name)(weights=None, **options)
        out["structures"].append(structure(model, before))
    for name, options, size in COMPUTED:
        model = getattr(tf.keras.applications, name)(
            weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3), **options
        )
        out["computed"].append(computed(numbers(model, size)))
    path = Path(__file__).with_name("applications_2_15.json")
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
