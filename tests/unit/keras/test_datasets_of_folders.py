"""What datasets of folders are called, which TensorFlow 2.15 shows."""

import numpy as np
import pytest

import shardtape as tf


@pytest.fixture
def folder(tmp_path):
    for kind in ("daisy", "rose"):
        (tmp_path / kind).mkdir()
        for i in range(3):
            picture = tf.io.encode_png(tf.fill([5, 4, 3], tf.constant(i, tf.uint8)))
            (tmp_path / kind / f"{i}.png").write_bytes(picture.numpy())
            (tmp_path / kind / f"{i}.txt").write_text(f"{kind} {i}")
    return str(tmp_path)


@pytest.mark.parametrize("batch_size", [2, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_images_are_prefetched_last_and_texts_are_not(folder, batch_size, shuffle, capsys):
    options = {"batch_size": batch_size, "shuffle": shuffle, "seed": 1}
    images = tf.keras.utils.image_dataset_from_directory(folder, image_size=(8, 8), **options)
    assert repr(images).startswith("<_PrefetchDataset ") and images.class_names == ["daisy", "rose"]
    texts = tf.keras.utils.text_dataset_from_directory(folder, **options)
    shown = "_BatchDataset" if batch_size else "_ShuffleDataset" if shuffle else "_PrefetchDataset"
    assert repr(texts).startswith(f"<{shown} ")
    assert capsys.readouterr().out.count("Found 6 files belonging to 2 classes.") == 2
    seen = [x for batch, _ in images for x in (batch if batch_size else [batch])]
    assert sorted(float(tf.reduce_max(x)) for x in seen) == [0, 0, 1, 1, 2, 2]


def test_a_seed_that_is_not_given_is_numpys(folder):
    def texts(seed):
        tf.random.set_seed(1)
        data = tf.keras.utils.text_dataset_from_directory(folder, batch_size=3, seed=seed)
        return [t for _ in range(2) for x, _ in data for t in x.numpy().tolist()]

    np.random.seed(7)
    seed = int(np.random.randint(1_000_000))
    expected = texts(seed)
    np.random.seed(7)
    assert texts(None) == expected
    # no random op of the program draws another number for it
    following = float(tf.random.uniform([]))
    tf.random.set_seed(1)
    assert following == float(tf.random.uniform([]))
