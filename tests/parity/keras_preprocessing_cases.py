"""Programs on Keras's preprocessing layers that run on TensorFlow 2.15 and on Shardtape alike.

As in `keras_cases.py`; kept in `data/keras_preprocessing_tf215.npz`.
"""

import numpy as np
from parity.keras_cases import normal

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


TEXTS = np.array(["The cat, the DOG.", "a cat; sat", "the mat!  sat", "", "dog's mat (the) end"])
WORDS = np.array([["earth", "wind"], ["fire", "earth"], ["wind", "earth"]])


def words_of(layer):
    return "|".join(str(w) for w in layer.get_vocabulary())


@case
def normalization(tf):
    k = tf.keras.layers
    x = 3 * normal(70, 4) + 5
    learned, whole, kept = (
        k.Normalization(),
        k.Normalization(axis=None),
        k.Normalization(axis=(1, 2)),
    )
    learned.adapt(x)
    whole.adapt(x)
    kept.adapt(x.reshape(14, 5, 4))
    back = k.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=2.0, invert=True)
    given = k.Normalization(mean=5.0, variance=9.0)
    return [
        learned(x[:3]), whole(x[:3]), kept(x.reshape(14, 5, 4)[:2]), back(x[:3]), given(x[:3]),
        learned.mean, learned.variance, len(learned.weights),
        k.Rescaling(1 / 255.0, offset=-0.5)(np.array([[0, 128, 255]], np.uint8)),
    ]  # fmt: skip


@case
def categories(tf):
    k = tf.keras.layers
    numbers = np.array([[0, 1], [0, 0], [1, 2], [3, 1]])
    values = np.float32([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])
    ranges = k.Discretization(bin_boundaries=[0.0, 1.0, 2.0])
    learned = k.Discretization(num_bins=4, epsilon=0.01)
    learned.adapt(normal(200, 1))
    return [
        k.CategoryEncoding(4)(numbers), k.CategoryEncoding(4, output_mode="one_hot")([3, 2, 0, 1]),
        k.CategoryEncoding(4, output_mode="count")(numbers),
        k.CategoryEncoding(4, output_mode="count")(
            numbers, count_weights=np.float32([[0.1, 0.2], [0.1, 0.1], [0.2, 0.3], [0.4, 0.2]])
        ),
        k.CategoryEncoding(4, output_mode="one_hot")(numbers[:, :1]),
        ranges(values), np.float32(learned.bin_boundaries), learned(values),
        k.Discretization(bin_boundaries=[0.0, 1.0], output_mode="one_hot")(values[0]),
    ]  # fmt: skip


@case
def string_lookup(tf):
    k = tf.keras.layers
    given = k.StringLookup(vocabulary=["wind", "fire", "earth"])
    learned, cut = k.StringLookup(), k.StringLookup(max_tokens=3, mask_token="")
    learned.adapt(WORDS)
    cut.adapt(WORDS)
    back = k.StringLookup(vocabulary=["wind", "fire"], invert=True, mask_token="")
    hot = [k.StringLookup(vocabulary=["wind", "fire"], output_mode=m)
           for m in ("one_hot", "multi_hot", "count")]  # fmt: skip
    weighted = k.StringLookup(output_mode="tf_idf")
    weighted.adapt(WORDS)
    padded = k.StringLookup(vocabulary=["wind"], output_mode="count", max_tokens=5,
                            pad_to_max_tokens=True)  # fmt: skip
    asked = tf.constant([["wind", "sea"], ["", "earth"]])
    return [
        given(asked), learned(asked), cut(asked), words_of(given), words_of(learned), words_of(cut),
        back(np.array([[0, 1], [2, 3]])), hot[0](asked[:, 0]), hot[1](asked), hot[2](asked),
        weighted(asked), padded(asked), given.vocabulary_size(),
        tf.function(lambda t: given(t))(asked),
    ]  # fmt: skip


@case
def hashing(tf):
    k = tf.keras.layers
    texts, numbers = np.array([["A"], ["B"], ["C"], ["D"], [""]]), np.array([[3], [0], [77]])
    return [
        k.Hashing(num_bins=7)(texts), k.Hashing(num_bins=7, mask_value="")(texts),
        k.Hashing(num_bins=7, salt=1337)(texts), k.Hashing(num_bins=7, salt=[13, 37])(texts),
        k.Hashing(num_bins=5)(numbers), k.Hashing(num_bins=4, output_mode="one_hot")(texts),
        k.StringLookup(vocabulary=["A"], num_oov_indices=3)(texts),
    ]  # fmt: skip


@case
def integer_lookup(tf):
    k = tf.keras.layers
    given = k.IntegerLookup(vocabulary=[12, 36, 1138, 42])
    several = k.IntegerLookup(vocabulary=[12, 36], num_oov_indices=3)
    masked = k.IntegerLookup(mask_token=0)
    masked.adapt(np.array([[3, 5, 5], [0, 7, 5], [3, 0, 9]]))
    asked = np.array([[12, 1138, 42], [42, 1000, 0]])
    back = k.IntegerLookup(vocabulary=[12, 36], invert=True)
    return [given(asked), several(asked), masked(asked), words_of(given), words_of(masked),
            back(np.array([0, 1, 2])), given(asked[0, 0])]  # fmt: skip


@case
def text_vectorization(tf):
    k = tf.keras.layers
    plain = k.TextVectorization()
    short = k.TextVectorization(max_tokens=6, output_sequence_length=3)
    made = [
        plain,
        short,
        k.TextVectorization(ngrams=2, output_mode="count"),
        k.TextVectorization(output_mode="tf_idf", standardize="lower"),
        k.TextVectorization(split="character", standardize=None, output_sequence_length=8),
        k.TextVectorization(output_mode="multi_hot", standardize="strip_punctuation"),
    ]
    for layer in made:
        layer.adapt(TEXTS)
    given = k.TextVectorization(vocabulary=["cat", "sat"], output_sequence_length=5)
    asked = tf.constant(["the CAT sat (down)", "dog"])
    model = tf.keras.Sequential([tf.keras.Input((1,), dtype=tf.string), short])
    return [
        *[words_of(layer) for layer in made], *[layer(asked) for layer in made], given(asked),
        model(asked[:, None]), tf.function(lambda t: plain(t))(asked),
    ]  # fmt: skip


@case
def images(tf):
    k = tf.keras.layers
    x = np.abs(normal(2, 7, 6, 3)) * 60
    out = [
        k.Resizing(4, 9)(x), k.Resizing(14, 3, interpolation="nearest")(x), k.CenterCrop(4, 3)(x),
        k.Resizing(5, 5)(x[0]), k.Resizing(4, 8, crop_to_aspect_ratio=True)(x),
        k.CenterCrop(9, 4)(x), k.UpSampling2D((2, 3), interpolation="bilinear")(x),
        k.RandomFlip()(x, training=False), k.RandomCrop(3, 4)(x, training=False),
    ]  # fmt: skip
    # ranges of one value leave nothing to chance
    for mode in ("reflect", "wrap", "constant", "nearest"):
        for way in ("bilinear", "nearest"):
            options = {"fill_mode": mode, "interpolation": way, "fill_value": 7.0}
            out += [
                k.RandomTranslation((0.3, 0.3), (-0.21, -0.21), **options)(x, training=True),
                k.RandomRotation((0.13, 0.13), **options)(x, training=True),
                k.RandomZoom((0.4, 0.4), (-0.3, -0.3), **options)(x, training=True),
            ]
    out.append(k.RandomBrightness((0.2, 0.2))(x, training=True))
    return out
