"""What we write, in a real TensorBoard, in a real browser."""

import math

import numpy as np
import pytest
from browser import chromium, screenshots
from browser.pages import (
    TensorBoard,
    expand_groups,
    open_graphs,
    open_time_series,
    shown_nodes,
    wait_for_text,
)
from PIL import Image
from tensorboard.compat.proto import graph_pb2

from shardtape import summary

BINARY = chromium.find()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        BINARY is None,
        reason="no Chromium found: install one, or name it in SHARDTAPE_CHROMIUM",
    ),
]


def step_graph():
    """A GraphDef with name scopes, as a step's."""
    graph = graph_pb2.GraphDef()

    def add(name, op, *inputs):
        graph.node.add(name=name, op=op, input=inputs)
        return name

    x = add("x", "Placeholder")
    for layer in ("hidden", "logits"):
        kernel = add(f"{layer}/kernel", "VarHandleOp")
        x = add(f"{layer}/MatMul", "MatMul", x, kernel)
    add("loss/Mean", "Mean", x)
    return graph


def write_run(logdir):
    rng = np.random.default_rng(0)
    with summary.create_file_writer(logdir / "digits" / "train").as_default():
        summary.graph(step_graph())
        summary.text("configuration", "| shards | workers |\n|---|---|\n| 2 | 2 |", step=0)
        summary.image("examples", rng.random((2, 8, 8, 1)), step=0)
        for step in range(50):
            summary.scalar("training/loss", math.exp(-step / 10), step=step)
            summary.scalar("training/accuracy", 1 - math.exp(-step / 5), step=step)
            if step % 10 == 0:
                values = rng.normal(size=1000) * (1 + step)
                summary.histogram("weights/hidden/kernel", values, step=step)
    writer = summary.create_file_writer(logdir / "digits" / "shard-0")
    for step in range(50):
        writer.scalar("parameter_server/staleness", step % 3, step)
    writer.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("runs")
    write_run(logdir)
    with TensorBoard(logdir) as board:
        board.logdir = logdir
        board.wait_for_runs()
        yield board


@pytest.fixture(scope="module")
def page(board):
    with chromium.Browser(BINARY) as browser:
        yield browser.page


def test_the_server_has_the_runs_and_their_tags(board):
    assert sorted(board.get("data/runs")) == ["digits/shard-0", "digits/train"]
    tags = board.get("data/plugin/timeseries/tags")
    assert sorted(tags["scalars"]["runTagInfo"]["digits/train"]) == [
        "training/accuracy", "training/loss",
    ]  # fmt: skip
    assert tags["histograms"]["runTagInfo"]["digits/train"] == ["weights/hidden/kernel"]
    assert board.graph_runs() == ["digits/train"]
    points = board.get("data/plugin/scalars/scalars?run=digits/train&tag=training/loss")
    assert [point[1] for point in points] == list(range(50))


def test_the_time_series_page_shows_runs_and_tags(board, page):
    page.resize(1440, 3000)  # cards are made when they come into view
    open_time_series(page, board.url)
    expand_groups(page, 4)  # examples, parameter_server, training, weights
    wait_for_text(
        page, "digits/train", "digits/shard-0", "training", "parameter_server", "weights",
        "loss", "accuracy", "staleness", "/kernel",
    )  # fmt: skip
    assert page.evaluate("document.querySelectorAll('scalar-card').length") >= 2


@pytest.mark.parametrize(
    ("tab", "words"),
    [
        ("scalars", ("digits/train", "training", "parameter_server")),
        ("histograms", ("digits/train", "weights")),
        ("distributions", ("digits/train", "weights")),
        ("images", ("examples",)),
        ("text", ("configuration", "shards", "workers")),
    ],
)
def test_the_other_pages_show_what_is_theirs(board, page, tab, words):
    page.open("about:blank")
    page.open(f"{board.url}#{tab}")
    wait_for_text(page, *words)


def test_the_graphs_page_shows_the_name_scopes(board, page):
    open_graphs(page, board.url, "digits/train")
    wait_for_text(page, "Main Graph", "digits/train")
    assert {"hidden", "logits", "loss"} <= set(shown_nodes(page))


def test_pictures_for_the_documents(board, tmp_path):
    taken = screenshots.take(board.logdir, tmp_path / "images", BINARY, 1200, 800)
    assert [path.name for path in taken] == ["time_series.png", "graphs.png"]
    for path in taken:
        picture = Image.open(path)
        assert picture.size == (1200, 800)
        colors = picture.convert("RGB").getcolors(maxcolors=1 << 24)
        assert len(colors) > 50  # not an empty page
