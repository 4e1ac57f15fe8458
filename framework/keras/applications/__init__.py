"""`tf.keras.applications`: known networks for images, without weights of their own.

Each is loaded when it is asked for.
"""

from typing import Any as _Any

from shardtape.lazy_names import lazily as _lazily

_MODULES = {
    "convnext": ["ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny",
                 "ConvNeXtXLarge"],
    "densenet": ["DenseNet121", "DenseNet169", "DenseNet201"],
    "efficientnet": ["EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3",
                     "EfficientNetB4", "EfficientNetB5", "EfficientNetB6", "EfficientNetB7"],
    "efficientnet_v2": ["EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
                        "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M",
                        "EfficientNetV2S"],
    "imagenet_utils": [],
    "inception_resnet_v2": ["InceptionResNetV2"],
    "inception_v3": ["InceptionV3"],
    "mobilenet": ["MobileNet"],
    "mobilenet_v2": ["MobileNetV2"],
    "mobilenet_v3": ["MobileNetV3Large", "MobileNetV3Small"],
    "nasnet": ["NASNetLarge", "NASNetMobile"],
    "regnet": ["RegNetX002", "RegNetX004", "RegNetX006", "RegNetX008", "RegNetX016",
               "RegNetX032", "RegNetX040", "RegNetX064", "RegNetX080", "RegNetX120",
               "RegNetX160", "RegNetX320", "RegNetY002", "RegNetY004", "RegNetY006",
               "RegNetY008", "RegNetY016", "RegNetY032", "RegNetY040", "RegNetY064",
               "RegNetY080", "RegNetY120", "RegNetY160", "RegNetY320"],
    "resnet": ["ResNet50", "ResNet101", "ResNet152"],
    "resnet50": [],
    "resnet_rs": ["ResNetRS50", "ResNetRS101", "ResNetRS152", "ResNetRS200", "ResNetRS270",
                  "ResNetRS350", "ResNetRS420"],
    "resnet_v2": ["ResNet50V2", "ResNet101V2", "ResNet152V2"],
    "vgg16": ["VGG16"],
    "vgg19": ["VGG19"],
    "xception": ["Xception"],
}  # fmt: skip

__all__ = sorted([*_MODULES, *(name for names in _MODULES.values() for name in names)])

_load = _lazily(__name__, "tf.keras.applications", _MODULES)


def __getattr__(name: str) -> _Any:
    return _load(name)
