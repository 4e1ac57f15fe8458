"""Names, order and some values of layers' configurations; recorded from Keras 2.15."""

import json

import pytest

import shardtape as tf

layers = tf.keras.layers
CONVOLUTION = ["filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
               "groups", "activation", "use_bias", "kernel_initializer", "bias_initializer",
               "kernel_regularizer", "bias_regularizer", "activity_regularizer",
               "kernel_constraint", "bias_constraint"]  # fmt: skip
DEPTHWISE = ["kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
             "activation", "use_bias", "bias_initializer", "bias_regularizer",
             "activity_regularizer", "bias_constraint", "depth_multiplier",
             "depthwise_initializer", "depthwise_regularizer", "depthwise_constraint"]  # fmt: skip
SEPARABLE = [*CONVOLUTION, "depth_multiplier", "depthwise_initializer", "pointwise_initializer",
             "depthwise_regularizer", "pointwise_regularizer", "depthwise_constraint",
             "pointwise_constraint"]  # fmt: skip
CONV_LSTM = ["return_sequences", "return_state", "go_backwards", "stateful", "unroll", "time_major",
             *CONVOLUTION[:6], "activation", "recurrent_activation", "use_bias",
             "kernel_initializer", "recurrent_initializer", "bias_initializer", "unit_forget_bias",
             "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
             "activity_regularizer", "kernel_constraint", "recurrent_constraint",
             "bias_constraint", "dropout", "recurrent_dropout"]  # fmt: skip
LOOKUP = ["invert", "max_tokens", "num_oov_indices", "oov_token", "mask_token", "output_mode",
          "sparse", "pad_to_max_tokens"]  # fmt: skip
MOVED = ["fill_mode", "fill_value", "interpolation", "seed"]

CASES = [
    (lambda: layers.Conv1DTranspose(4, 3), [*CONVOLUTION, "output_padding"]),
    (lambda: layers.Conv2DTranspose(4, 3), [*CONVOLUTION, "output_padding"]),
    (
        lambda: layers.Conv3DTranspose(4, 3),
        [*[n for n in CONVOLUTION if n != "dilation_rate"], "output_padding"],
    ),
    (lambda: layers.SeparableConv1D(4, 3), SEPARABLE),
    (lambda: layers.SeparableConv2D(4, 3), SEPARABLE),
    (lambda: layers.DepthwiseConv1D(3), DEPTHWISE),
    (lambda: layers.DepthwiseConv2D(3), DEPTHWISE),
    (lambda: layers.ConvLSTM1D(4, 3), CONV_LSTM),
    (lambda: layers.ConvLSTM2D(4, 3), CONV_LSTM),
    (lambda: layers.ConvLSTM3D(4, 3), CONV_LSTM),
    (lambda: layers.MaxPooling1D(), ["strides", "pool_size", "padding", "data_format"]),
    (lambda: layers.AveragePooling1D(), ["strides", "pool_size", "padding", "data_format"]),
    (lambda: layers.MaxPooling2D(), ["pool_size", "padding", "strides", "data_format"]),
    (lambda: layers.RandomFlip(), ["mode", "seed"]),
    (lambda: layers.RandomRotation(0.2), ["factor", *MOVED]),
    (lambda: layers.RandomZoom(0.2), ["height_factor", "width_factor", *MOVED]),
    (lambda: layers.RandomTranslation(0.2, 0.3), ["height_factor", "width_factor", *MOVED]),
    (lambda: layers.RandomContrast(0.2), ["factor", "seed"]),
    (lambda: layers.RandomBrightness(0.2), ["factor", "value_range", "seed"]),
    (lambda: layers.RandomCrop(2, 3), ["height", "width", "seed"]),
    (lambda: layers.RandomHeight(0.2), ["factor", "interpolation", "seed"]),
    (lambda: layers.CenterCrop(2, 3), ["height", "width"]),
    (lambda: layers.Resizing(2, 3), ["height", "width", "interpolation", "crop_to_aspect_ratio"]),
    (
        lambda: layers.StringLookup(),
        [*LOOKUP, "idf_weights", "vocabulary", "vocabulary_size", "encoding"],
    ),
    (
        lambda: layers.IntegerLookup(vocabulary=[1, 2]),
        [*LOOKUP, "vocabulary_dtype", "idf_weights", "vocabulary", "vocabulary_size"],
    ),
    (
        lambda: layers.TextVectorization(),
        ["max_tokens", "standardize", "split", "ngrams", "output_mode", "output_sequence_length",
         "pad_to_max_tokens", "sparse", "ragged", "vocabulary", "idf_weights", "encoding",
         "vocabulary_size"],
    ),
    (lambda: layers.AlphaDropout(0.1), ["rate", "seed"]),
]  # fmt: skip


@pytest.mark.parametrize("make, names", CASES, ids=lambda x: "" if callable(x) else x[0])
def test_names_stand_in_keras_order_and_are_read_again(make, names):
    layer = make()
    config = layer.get_config()
    assert list(config) == ["name", "trainable", "dtype", *names]
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config()) == json.dumps(config)


def test_values_of_lookup_layers():
    given = layers.StringLookup(vocabulary=["a", "b"], num_oov_indices=2, mask_token="",
                                output_mode="multi_hot").get_config()  # fmt: skip
    assert (given["vocabulary"], given["vocabulary_size"]) == (["a", "b"], 4)
    assert layers.StringLookup().get_config()["vocabulary_size"] is None
    assert layers.TextVectorization().get_config()["vocabulary_size"] == 2
    assert layers.TextVectorization(10, vocabulary=["a"]).get_config()["vocabulary_size"] == 3
    learned = layers.StringLookup()
    learned.adapt(["x", "y", "x"])
    again = layers.StringLookup.from_config(learned.get_config())
    assert again.get_vocabulary() == learned.get_vocabulary() == ["[UNK]", "x", "y"]


def test_values_of_augmentations_and_transposes():
    assert layers.RandomBrightness(0.2).get_config()["factor"] == [-0.2, 0.2]
    dilated = layers.Conv3DTranspose(1, 2, dilation_rate=2)
    assert dilated.get_config()["dilation_rate"] == (2, 2, 2)
    assert layers.AlphaDropout(0.1, noise_shape=(1, 2)).get_config()["noise_shape"] == (1, 2)
    for make in (layers.Conv2DTranspose, layers.SeparableConv2D, layers.Conv1DTranspose):
        with pytest.raises(ValueError, match="does not split channels"):
            make(4, 3, groups=2)
    with pytest.raises(ValueError, match="does not split channels"):
        layers.DepthwiseConv2D(3, groups=2)
