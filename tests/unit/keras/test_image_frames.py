"""Tables of image files, whitening, files of what was changed, and single random changes.

All numbers and results are those of Keras 2.15 (with pandas and scipy).
"""

import numpy as np
import pytest

import shardtape as tf

images = tf.keras.preprocessing.image
TABLE = {
    "filename": [f"{i}.png" for i in range(7)], "class": list("abcabca"),
    "y": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], "z": [1, 2, 3, 4, 5, 6, 7],
    "m": [["a"], ["a", "b"], ["c"], ["b"], ["a", "c"], ["b"], ["a"]],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        tf.keras.utils.save_img(tmp_path / f"{i}.png", np.full((4, 4, 3), i * 20.0), scale=False)
    return tmp_path


def _flow(folder, **options):
    generator = images.ImageDataGenerator(validation_split=0.4, rescale=1 / 255)
    with pytest.warns(UserWarning, match="Found 1 invalid image"):
        return generator.flow_from_dataframe(
            TABLE, folder, target_size=(2, 2), batch_size=3, shuffle=False, **options
        )


@pytest.mark.parametrize(
    ("options", "files", "labels"),
    [
        ({}, "012345", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ({"class_mode": "sparse", "classes": ["c", "a"]}, "0235", [1, 0, 1]),
        ({"class_mode": "binary", "classes": ["a", "b"]}, "0134", [0, 1, 0]),
        ({"class_mode": "raw", "y_col": "y"}, "012345", [0.1, 0.2, 0.3]),
        ({"class_mode": "raw", "y_col": ["y", "z"]}, "012345", [[0.1, 1], [0.2, 2], [0.3, 3]]),
        ({"subset": "validation"}, "01", [[1, 0, 0], [0, 1, 0]]),
        ({"subset": "training", "class_mode": "sparse"}, "2345", [2, 0, 1]),
        ({"y_col": "m"}, "012345", [[1, 0, 0], [1, 1, 0], [0, 0, 1]]),
        ({"y_col": "m", "classes": ["a", "c"]}, "0124", [[1, 0], [1, 0], [0, 1]]),
    ],
)
def test_labels_of_a_table(folder, options, files, labels):
    batches = _flow(folder, **options)
    assert batches.filenames == [f"{i}.png" for i in files]
    x, y = next(batches)
    assert x.shape == (len(labels), 2, 2, 3) and batches.image_shape == (2, 2, 3)
    np.testing.assert_allclose(x[:, 0, 0, 0], [int(i) * 20 / 255 for i in files[: len(labels)]],
                               rtol=1e-6)  # fmt: skip
    np.testing.assert_array_equal(y, labels)


def test_several_outputs_and_weights(folder):
    batches = _flow(folder, class_mode="multi_output", y_col=["y", "z"], weight_col="z")
    _, (first, second), weights = next(batches)
    assert first.tolist() == [0.1, 0.2, 0.3] and second.tolist() == weights.tolist() == [1, 2, 3]
    x, same = next(_flow(folder, class_mode="input"))
    np.testing.assert_array_equal(x, same)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"class_mode": "binary"}, ValueError, "must be 2 classes. 3 were"),
        ({"y_col": "y"}, TypeError, 'or take class_mode="raw"'),
        ({"class_mode": "multi_output"}, TypeError, "y_col must be a list"),
    ],
)
def test_tables_that_are_refused(folder, options, error, text):
    table = {name: column[:6] for name, column in TABLE.items()}
    with pytest.raises(error, match=text):
        images.ImageDataGenerator().flow_from_dataframe(table, folder, **options)


def test_whitening():
    generator = images.ImageDataGenerator(zca_whitening=True)
    x = np.sin(np.arange(72.0) ** 2).reshape(6, 3, 2, 2)
    with pytest.raises(ValueError, match="call `.fit"):
        next(generator.flow(x))
    generator.fit(x)
    made = np.ravel(next(generator.flow(x, shuffle=False, batch_size=6)))
    wanted = [0.08684, -1.24885, 1.24914, -0.42684, 0.73204]
    np.testing.assert_allclose(made[[0, 7, 30, 50, -1]], wanted, atol=2e-5)


def test_changed_images_are_written(folder, tmp_path):
    there = tmp_path / "seen"
    there.mkdir()
    x = np.linspace(0, 1, 4 * 5 * 5 * 3).reshape(4, 5, 5, 3)
    flow = images.ImageDataGenerator().flow(x, batch_size=2, shuffle=False, save_to_dir=there,
                                            save_prefix="seen", save_format="png")  # fmt: skip
    next(flow)
    names = sorted(p.name for p in there.iterdir())
    assert [n[:7] for n in names] == ["seen_0_", "seen_1_"]
    assert images.load_img(there / names[0]).size == (5, 5)


@pytest.mark.parametrize(
    ("name", "arguments", "values"),
    [
        ("random_rotation", (40,), [0.07509, -0.86918, 0.71868, -0.58264, -0.69388]),
        ("random_shift", (0.3, 0.2), [-0.19122, -0.18418, -0.40071, -0.34092, -0.86488]),
        ("random_shear", (30,), [0.05378, -0.89104, 0.98647, -0.62192, -0.74171]),
        ("random_zoom", ((0.5, 1.5),), [0.0, -0.95375, 0.51259, -0.50364, -0.86488]),
        ("random_channel_shift", (0.4,), [0.04064, -0.91311, 0.99977, -0.60949, -0.82425]),
        ("random_brightness", ((0.2, 2.0),), [151, 5, 255, 52, 20]),
    ],
)
def test_one_random_change(name, arguments, values):
    x = np.sin(np.arange(90.0) ** 2).reshape(5, 6, 3)
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    if name == "random_brightness":
        x, axes = (x + 1) * 100, {}
    elif name == "random_channel_shift":
        axes = {"channel_axis": 2}
    np.random.seed(3)
    made = np.ravel(getattr(images, name)(x, *arguments, **axes))
    np.testing.assert_allclose(made[[0, 7, 30, 50, -1]], values, atol=1e-5)
