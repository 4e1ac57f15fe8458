"""Data for training from arrays, texts and folders, on TensorFlow 2.15 and on Shardtape alike.

`record_keras_tf.py` keeps what TensorFlow makes of them in `data/keras_data_tf215.npz`.
"""

import contextlib
import io
import random
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

CASES = {}
TEXTS = ["The cat sat on the mat.", "The dog ate my homework!", "a cat & a dog\tand a mat"]


def case(function):
    def run(tf):
        tf.random.set_seed(5)  # the order of shuffled datasets follows from it too
        return function(tf)

    CASES[function.__name__] = run
    return function


def png(path, pixels):
    """Writes (height, width, 3) bytes as a PNG file."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)
        return struct.pack(">I", len(data)) + kind + data + check

    high, wide, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def told(run):
    """(what `run` returns, what it wrote)"""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        result = run()
    return result, out.getvalue()


@case
def padding(tf):
    pad = tf.keras.preprocessing.sequence.pad_sequences
    rows = [[1, 2, 3], [4], [], [5, 6, 7, 8, 9]]
    return [
        pad(rows), pad(rows, padding="post"), pad(rows, maxlen=2), pad(rows, 3, truncating="post"),
        pad(rows, 4, dtype="float32", value=-1.5, padding="post", truncating="post"),
        pad([[[1, 2]], [[3, 4], [5, 6]]], maxlen=3),
        str(pad([["a", "b"], ["c"]], dtype=object, value="pad").tolist()),
        tf.keras.utils.pad_sequences(rows, maxlen=1),
    ]  # fmt: skip


@case
def words_to_numbers(tf):
    text = tf.keras.preprocessing.text
    out = []
    for options in ({}, {"num_words": 5}, {"oov_token": "<OOV>"}, {"char_level": True},
                    {"lower": False, "filters": "!"},
                    {"num_words": 4, "oov_token": "?"}):  # fmt: skip
        tokenizer = text.Tokenizer(**options)
        tokenizer.fit_on_texts(TEXTS)
        numbers = tokenizer.texts_to_sequences([*TEXTS, "my new cat"])
        out.append(str(numbers) + str(tokenizer.word_index) + str(dict(tokenizer.word_counts)))
        out.append(f"{tokenizer.sequences_to_texts(numbers)}{sorted(tokenizer.index_docs.items())}")
        out += [tokenizer.texts_to_matrix(TEXTS, mode=mode)
                for mode in ("binary", "count", "freq", "tfidf")]  # fmt: skip
    again = text.tokenizer_from_json(tokenizer.to_json())
    out.append(str(again.texts_to_sequences(TEXTS)))
    out.append(str(text.text_to_word_sequence("Hello, big-World!  ok")))
    out.append(str(text.hashing_trick("the cat the dog", 50, "md5")))
    return out


@case
def word_pairs(tf):
    sequence = tf.keras.preprocessing.sequence
    out = [sequence.make_sampling_table(12)]
    for options in (
        {"window_size": 2, "negative_samples": 0.0, "shuffle": False},
        {"window_size": 1, "negative_samples": 1.0, "seed": 7},
        {"window_size": 2, "negative_samples": 0.5, "categorical": True, "seed": 1,
         "sampling_table": sequence.make_sampling_table(20, 1e-2)},
    ):  # fmt: skip
        random.seed(11)
        couples, labels = sequence.skipgrams([1, 5, 0, 3, 7, 2], 20, **options)
        out += [np.array(couples), np.array(labels)]
    return out


@case
def windows(tf):
    series = np.arange(40, dtype=np.float32).reshape(20, 2)
    targets = np.arange(20) * 10
    make = tf.keras.utils.timeseries_dataset_from_array
    out = []
    for options in (
        {"sequence_length": 4}, {"sequence_length": 3, "sequence_stride": 2, "batch_size": 4},
        {"sequence_length": 3, "sampling_rate": 2, "batch_size": None},
        {"sequence_length": 5, "shuffle": True, "seed": 3, "batch_size": 6},
        {"sequence_length": 2, "start_index": 3, "end_index": 11, "batch_size": 3},
    ):  # fmt: skip
        for given in (None, targets):
            for batch in make(series, given, **options):
                out += [batch] if given is None else list(batch)
    generator = tf.keras.preprocessing.sequence.TimeseriesGenerator(
        series, targets, length=4, sampling_rate=2, stride=2, batch_size=3, reverse=True
    )
    out.append(str(len(generator)))
    for i in range(len(generator)):
        out += list(generator[i])
    return out


@case
def folders_of_texts(tf):
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("neg", "pos"):
            (Path(folder) / name / "deep").mkdir(parents=True)
            for i in range(6):
                (Path(folder) / name / f"{i}.txt").write_text(f"{name} text {i}")
            (Path(folder) / name / "deep" / "x.TXT").write_text(f"{name} deep")
            (Path(folder) / name / "no.md").write_text("left out")
        make = tf.keras.utils.text_dataset_from_directory
        for options in (
            {"shuffle": False, "batch_size": 4}, {"seed": 5, "max_length": 5},
            {"seed": 42, "validation_split": 0.3, "subset": "training", "batch_size": 3},
            {"seed": 42, "validation_split": 0.3, "subset": "validation"},
            {"label_mode": "binary", "shuffle": False},
            {"label_mode": "categorical", "seed": 1, "batch_size": None},
            {"label_mode": None, "shuffle": False},
            {"class_names": ["pos", "neg"], "shuffle": False},
            {"labels": [0, 2, 1, 1, 1, 2, 0] * 2, "shuffle": False},
        ):  # fmt: skip
            data, text = told(lambda options=options: make(folder, **options))
            out.append(text + str(data.class_names))
            for batch in data:
                texts = batch if options.get("label_mode", "") is None else batch[0]
                out.append(str(np.asarray(texts).tolist()))
                if texts is not batch:
                    out.append(batch[1])
        options = {"seed": 4, "validation_split": 0.25, "subset": "both"}
        (train, held), text = told(lambda: make(folder, **options))
        out.append(text + f"{len(list(train))} {len(list(held))}")
    return out


@case
def folders_of_images(tf):
    rng = np.random.RandomState(0)
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("daisy", "rose", "tulip"):
            (Path(folder) / name).mkdir()
            for i in range(4):
                pixels = rng.randint(0, 255, (6 + i, 9, 3)).astype("uint8")
                png(Path(folder) / name / f"{i}.png", pixels)
        make = tf.keras.utils.image_dataset_from_directory
        for options in (
            {"image_size": (4, 5), "shuffle": False, "batch_size": 5},
            {"image_size": (4, 4), "seed": 3, "validation_split": 0.25, "subset": "validation"},
            {"image_size": (8, 8), "color_mode": "rgba", "shuffle": False,
             "label_mode": "categorical"},
            {"image_size": (5, 3), "crop_to_aspect_ratio": True, "shuffle": False,
             "interpolation": "nearest", "label_mode": None},
        ):  # fmt: skip
            data, text = told(lambda options=options: make(folder, **options))
            out += [text, str(data.element_spec)]
            for batch in data:
                out += [batch] if options.get("label_mode", "") is None else list(batch)
    pixels = rng.uniform(size=(2, 7, 10, 3)).astype(np.float32)
    out.append(tf.keras.preprocessing.image.smart_resize(pixels, (4, 4)))
    out.append(tf.keras.preprocessing.image.smart_resize(pixels[0], (9, 5)))
    return out


@case
def small_functions(tf):
    u = tf.keras.utils
    left, right = u.split_dataset(np.arange(10), left_size=0.7)
    first, last = u.split_dataset(np.arange(20).reshape(10, 2), right_size=3, shuffle=True, seed=2)
    return [
        *(np.array(list(d.as_numpy_iterator())) for d in (left, right, first, last)),
        u.to_ordinal([0, 2, 1, 3]), u.to_ordinal([[1], [0]], num_classes=4),
        str(u.unpack_x_y_sample_weight((1, 2))), str(u.pack_x_y_sample_weight(1, None, 3)),
    ]  # fmt: skip


@case
def images_changed_at_random(tf):  # needs scipy and Pillow beside TensorFlow
    image = tf.keras.preprocessing.image
    rng = np.random.RandomState(0)
    x, y = rng.uniform(0, 255, (7, 6, 8, 3)).astype(np.float32), np.arange(7)
    out = []
    for options in (
        {"rescale": 1 / 255.0, "horizontal_flip": True, "vertical_flip": True},
        {"rotation_range": 40, "width_shift_range": 0.2, "height_shift_range": 0.2,
         "shear_range": 20, "zoom_range": 0.3, "horizontal_flip": True},
        {"width_shift_range": [1, 2], "height_shift_range": 3, "fill_mode": "constant", "cval": 7},
        {"zoom_range": [0.5, 0.9], "channel_shift_range": 30.0, "fill_mode": "reflect"},
        {"samplewise_center": True, "samplewise_std_normalization": True, "rotation_range": 90,
         "fill_mode": "wrap", "interpolation_order": 0},
        {"featurewise_center": True, "featurewise_std_normalization": True},
        {"preprocessing_function": lambda a: a - 100, "brightness_range": (0.5, 1.5)},
    ):  # fmt: skip
        generator = image.ImageDataGenerator(**options)
        generator.fit(x)
        batches = generator.flow(x, y, batch_size=3, seed=5)
        out.append(str(len(batches)))
        for _ in range(4):
            out += list(next(batches))
        out += list(batches[1])
        np.random.seed(2)
        out.append(generator.random_transform(x[0]))
    generator = image.ImageDataGenerator(validation_split=0.3)
    for subset in ("training", "validation"):
        out += list(next(generator.flow(x, y % 2, shuffle=False, subset=subset)))
    out += list(next(generator.flow(x, y % 2, sample_weight=y / 2, shuffle=False)))
    out.append(image.apply_affine_transform(x[0], theta=30, tx=1, ty=-2, shear=10, zx=0.8, zy=1.3,
                                            row_axis=0, col_axis=1, channel_axis=2))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name in ("daisy", "rose"):
            (Path(folder) / name).mkdir()
            for i in range(5):
                pixels = rng.randint(0, 255, (6 + i, 9, 3)).astype("uint8")
                png(Path(folder) / name / f"{i}.png", pixels)
        for options in ({"class_mode": "binary", "seed": 3}, {"shuffle": False, "batch_size": 4},
                        {"class_mode": "sparse", "subset": "validation", "shuffle": False},
                        {"class_mode": None, "color_mode": "rgba", "classes": ["rose", "daisy"],
                         "shuffle": False}):  # fmt: skip
            found, text = told(lambda options=options: generator.flow_from_directory(
                folder, target_size=(5, 4), **options))  # fmt: skip
            out += [text + str(found.class_indices), ",".join(found.filenames)]
            batch = next(found)
            out += list(batch) if options.get("class_mode", "") is not None else [batch]
    return out


@case
def files_of_images(tf):  # needs Pillow beside TensorFlow
    image = tf.keras.preprocessing.image
    pixels = np.random.RandomState(0).randint(0, 255, (6, 9, 3)).astype("uint8")
    out = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        png(path, pixels)
        for options in (
            {}, {"color_mode": "grayscale"}, {"color_mode": "rgba"}, {"target_size": (3, 4)},
            {"target_size": (8, 4), "interpolation": "bilinear"},
            {"target_size": (4, 4), "keep_aspect_ratio": True},
        ):  # fmt: skip
            out.append(image.img_to_array(image.load_img(str(path), **options)))
        image.save_img(f"{folder}/b.png", pixels[:, :, :1] / 2, scale=False)
        out.append(image.img_to_array(image.load_img(f"{folder}/b.png")))
    made = image.array_to_img(pixels.astype("f4") * 3)
    return [*out, np.asarray(made), image.img_to_array(pixels[:, :, 0], dtype="uint8")]
