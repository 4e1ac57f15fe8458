"""Takes pictures of TensorBoard's pages for a run, as they stand in docs/images/.

    python tests/browser/screenshots.py LOGDIR OUTDIR

Writes OUTDIR/time_series.png and OUTDIR/graphs.png. Needs a Chromium (SHARDTAPE_CHROMIUM, or
`chromium` on PATH).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when run as a script

from browser import chromium
from browser.pages import TensorBoard, fit_graph, hide_settings, open_graphs, open_time_series

TAGS = "accuracy|loss|staleness|weights/.*kernel"  # of those that training jobs write
SETTLE_S = 2.0  # animations of the charts and of the graph's layout


def take(
    logdir: Path, outdir: Path, binary: str, width: int, height: int, tags: str = "."
) -> list[Path]:
    """Takes the pictures. Raises TimeoutError where a page does not show what it should."""
    outdir.mkdir(parents=True, exist_ok=True)
    taken = [outdir / "time_series.png"]
    with TensorBoard(logdir) as board, chromium.Browser(binary, width, height) as browser:
        board.wait_for_runs()
        open_time_series(browser.page, board.url, tags)
        hide_settings(browser.page)
        time.sleep(SETTLE_S)
        browser.page.screenshot(taken[0])
        for run in board.graph_runs()[:1]:
            open_graphs(browser.page, board.url, run)
            fit_graph(browser.page)
            time.sleep(SETTLE_S)
            taken.append(outdir / "graphs.png")
            browser.page.screenshot(taken[-1])
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("logdir", type=Path)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--tags", default=TAGS, help="regular expression of the charts to show")
    options = parser.parse_args()
    binary = chromium.find()
    if binary is None:
        print("no Chromium found: install one, or name it in SHARDTAPE_CHROMIUM", file=sys.stderr)
        return 1
    if not options.logdir.is_dir():
        print(f"there is no folder {options.logdir}", file=sys.stderr)
        return 1
    size = options.width, options.height
    for path in take(options.logdir, options.outdir, binary, *size, options.tags):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
