"""Folders that give two datasets at once; the orders are TensorFlow 2.15's."""

import numpy as np

import shardtape as tf
from shardtape.keras import utils


def test_the_part_to_validate_on_is_not_shuffled_again(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
        for i in range(5):
            image = tf.io.encode_png(np.full((4, 4, 3), i, "uint8"))
            tf.io.write_file(str(tmp_path / name / f"{i}.png"), image)
    given = dict(image_size=(4, 4), validation_split=0.4, subset="both", seed=1)
    train, held = utils.image_dataset_from_directory(tmp_path, **given)
    assert [y.numpy().tolist() for _, y in train] == [[1, 0, 2, 0, 2, 1, 0, 0, 0]]
    assert [y.numpy().tolist() for _, y in held] == [[2, 1, 1, 2, 2, 1]]
    _, held = utils.image_dataset_from_directory(tmp_path, batch_size=None, **given)
    assert [int(y) for _, y in held] == [2, 1, 1, 2, 2, 1]
