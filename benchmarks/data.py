"""Input pipelines beside TensorFlow's: microseconds for each example, two cores.

Rows `data_shuffle_batch` (60,000 rows of 784 floats in memory, shuffled, in batches of 128,
prefetched), `data_scale_shuffle_batch` (the same of bytes that are scaled to floats),
`data_map_batch` (a tanh of 20,000 images, image by image), `data_elements` (50,000 numbers one by
one) and `data_records_batch` (10,000 Examples from a TFRecord file, parsed).

    python benchmarks/data.py [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

import rows  # noqa: E402 - the path of the peers' modules comes first

PIPELINES = ("shuffle_batch", "scale_shuffle_batch", "map_batch", "elements", "records_batch")
LIMIT_S = 300.0


def measure_ours() -> None:
    """Measures all rows in this process and emits them as the peer does."""
    import importlib.util

    from measure import pin

    pin(2)
    spec = importlib.util.spec_from_file_location("peer_pipelines", HERE / "peers" / "data.py")
    peer: Any = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(peer)  # type: ignore[union-attr]
    import shardtape as tf

    peer.measure(tf, "ours", 0.5)


def ours() -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--child"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--child", action="store_true", help="internal: measure ours once")
    options = parser.parse_args()
    if options.child:
        measure_ours()
        return
    rows.note_environment()
    mine: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        mine += ours()
        theirs += rows.run_peer("data.py", "tf") or ()
    made = []
    for name in PIPELINES:
        own = [line["median"] for line in mine if line["what"] == name]
        against = [line["median"] for line in theirs if line["what"] == name]
        made.append(rows.row(f"data_{name}", "us per call", own, "TensorFlow", against or None))
    rows.report(made, options.json)


if __name__ == "__main__":
    main()
