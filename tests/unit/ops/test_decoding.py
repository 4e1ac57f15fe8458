"""CTC's beam search and the choice among boxes of several classes.

Values beside other arguments are in the registry's test, recorded from TensorFlow 2.15.
"""

import itertools

import numpy as np
import pytest

import shardtape as tf

_X = np.random.RandomState(0).randn(4, 1, 3)


def _all_spellings(x):
    """The chance of every spelling: the sum over the paths that collapse to it."""
    y = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    chances = {}
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        spelled = tuple(k for k, _ in itertools.groupby(path) if k != x.shape[1] - 1)
        chance = np.prod([y[t, k] for t, k in enumerate(path)])
        chances[spelled] = chances.get(spelled, 0.0) + chance
    return sorted(chances.items(), key=lambda item: -item[1])


def test_a_wide_beam_finds_the_likeliest_spellings():
    paths, scores = tf.nn.ctc_beam_search_decoder(_X, [4], beam_width=200, top_paths=5)
    wanted = _all_spellings(_X[:, 0])[:5]
    assert [tuple(p.values.numpy().tolist()) for p in paths] == [labels for labels, _ in wanted]
    np.testing.assert_allclose(scores.numpy()[0], np.log([c for _, c in wanted]), rtol=1e-9)


def test_beam_in_a_function():
    @tf.function
    def f(x):
        [path], scores = tf.nn.ctc_beam_search_decoder(x, [4])
        return tf.sparse.to_dense(path), scores

    path, scores = f(_X)
    labels, chance = _all_spellings(_X[:, 0])[0]
    assert path.numpy().tolist() == [list(labels)]
    np.testing.assert_allclose(scores.numpy(), [[np.log(chance)]], rtol=1e-9)


def test_unique_labels():
    unique, places = tf.nn.ctc_unique_labels([[1, 1, 3], [2, 2, 0]])  # TensorFlow 2.15's
    assert unique.dtype is tf.int64 and unique.numpy().tolist() == [[1, 3, 0], [2, 0, 0]]
    assert places.dtype is tf.int32 and places.numpy().tolist() == [[0, 0, 1], [0, 0, 1]]
    for part in tf.nn.ctc_unique_labels(np.zeros((2, 0), np.int32)):
        assert part.shape.as_list() == [2, 0]


def test_beam_refusals():
    with pytest.raises(tf.errors.InvalidArgumentError, match="more paths than the beam width"):
        tf.nn.ctc_beam_search_decoder(_X, [4], beam_width=1, top_paths=2)
    with pytest.raises(tf.errors.FailedPreconditionError, match="must not be above 4"):
        tf.nn.ctc_beam_search_decoder(_X, [5])
    with pytest.raises(tf.errors.FailedPreconditionError, match="batch_size: 1"):
        tf.nn.ctc_beam_search_decoder(_X, [4, 4])


_BOXES = np.array([[[[0, 0, 0.5, 1.5]], [[0, 0, 0.5, 1.4]], [[0.5, 0, 1, 1]]]], np.float32)
_SCORES = np.array([[[0.9, 0.1], [0.8, 0.6], [0.3, 0.7]]], np.float32)


def test_combined_boxes():
    boxes, scores, classes, count = tf.image.combined_non_max_suppression(
        _BOXES, _SCORES, 2, 5, score_threshold=0.2
    )
    # by hand: class 0 keeps the first and third, class 1 the third and second
    np.testing.assert_allclose(scores.numpy(), [[0.9, 0.7, 0.6, 0.3, 0]])
    assert classes.numpy().tolist() == [[0, 1, 1, 0, 0]] and count.numpy().tolist() == [4]
    assert boxes.numpy()[0].tolist() == [
        [0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 0, 0]
    ]  # fmt: skip


def test_combined_boxes_in_a_function_have_a_known_size():
    @tf.function
    def f(boxes, scores):
        got = tf.image.combined_non_max_suppression(boxes, scores, 1, 5, pad_per_class=True)
        assert got.nmsed_boxes.shape.as_list() == [1, 2, 4]
        return got.nmsed_scores

    np.testing.assert_allclose(f(_BOXES, _SCORES).numpy(), [[0.9, 0.7]])


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ((_BOXES[..., :3], _SCORES, 2, 5), "4 columns"),
        ((_BOXES[0], _SCORES, 2, 5), "boxes must be 4-D"),
        ((_BOXES, _SCORES[0], 2, 5), "scores must be 3-D"),
        ((_BOXES, _SCORES[:, :2], 2, 5), "same batch size"),
        ((_BOXES, _SCORES, 0, 5), "max_output_size_per_class"),
        ((_BOXES, _SCORES, 2, 0), "max_total_size"),
        ((_BOXES, _SCORES, 2, 5, 1.5), "iou_threshold"),
    ],
)
def test_combined_boxes_refusals(arguments, culprit):
    with pytest.raises(tf.errors.InvalidArgumentError, match=culprit):
        tf.image.combined_non_max_suppression(*arguments)
