"""TensorBoard as a process of its own, and its pages as a reader sees them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from browser.chromium import DEEP_TEXT, Page

START_S = 90.0
# Elements of any shadow tree that match a selector.
_DEEP_QUERY = """
((selector) => {
  const found = [];
  const visit = (root) => {
    found.push(...root.querySelectorAll(selector));
    for (const element of root.querySelectorAll('*'))
      if (element.shadowRoot) visit(element.shadowRoot);
  };
  visit(document);
  return found;
})
"""


class TensorBoard:
    """TensorBoard on a free loopback port; ended with the context."""

    def __init__(self, logdir: Path) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
        command += ["--host", "127.0.0.1", "--port", "0", "--reload_interval", "1"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends TensorBoard and its data server."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        self._log.close()

    def _wait_for_url(self) -> str:
        end = time.monotonic() + START_S
        said = ""
        while time.monotonic() < end and self._process.poll() is None:
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")
            found = re.search(r"http://[\w.]+:\d+/", said)
            if found:
                return found[0]
            time.sleep(0.1)
        raise TimeoutError(f"TensorBoard did not start within {START_S:g} s:\n{said[-2000:]}")

    def get(self, path: str) -> Any:
        """The JSON that TensorBoard answers for a path such as "data/runs"."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def wait_for_runs(self, deadline_s: float = 60.0) -> list[str]:
        """The runs, once there are any. Raises TimeoutError if there are none by then."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            runs = self.get("data/runs")
            if runs:
                return runs
            time.sleep(0.3)
        raise TimeoutError(f"TensorBoard found no run within {deadline_s:g} s")

    def graph_runs(self) -> list[str]:
        """The runs that have a graph."""
        info = self.get("data/plugin/graphs/info")
        return sorted(run for run, found in info.items() if found.get("run_graph"))


def open_time_series(page: Page, url: str, tags: str = "") -> None:
    """Opens the Time Series page and waits until charts are drawn.

    Args:
      tags: regular expression; the charts that match are shown side by side, without groups.
    """
    page.open(f"{url}?smoothing=0&tagFilter={urllib.parse.quote(tags)}#timeseries")
    drawn = ("line-chart svg path", "line-chart canvas", "tb-histogram svg path", "image-card img")
    page.wait_for(
        f"document.querySelectorAll({json.dumps(', '.join(drawn))}).length",
        "a chart of the Time Series page",
    )


_EXPAND = """
((least) => {
  const closed = document.querySelectorAll(
    'button.group-toolbar:has([svgicon=expand_more_24px])');
  closed.forEach((button) => button.click());
  return !closed.length && document.querySelectorAll('button.group-toolbar').length >= least;
})
"""


def expand_groups(page: Page, groups: int) -> None:
    """Opens all groups of tags on the Time Series page, at least so many; at first two are open."""
    page.wait_for(f"{_EXPAND}({groups})", f"{groups} groups of tags")


def hide_settings(page: Page) -> None:
    """Closes the pane at the right of the Time Series page, so that more charts are seen."""
    page.evaluate("document.querySelector('button.settings-button')?.click()")


def open_graphs(page: Page, url: str, run: str) -> None:
    """Opens the Graphs page of a run and waits until its nodes are drawn."""
    page.open("about:blank")  # a change of the fragment alone would not load the page anew
    page.open(f"{url}#graphs&run={run}")
    page.wait_for(f"{_DEEP_QUERY}('g.node').length", "a node of the Graphs page")


def fit_graph(page: Page) -> None:
    """Presses "Fit to screen" on the Graphs page."""
    page.evaluate(
        f"{_DEEP_QUERY}('.iron-selected, paper-button, button, div')"
        ".filter((e) => e.textContent.trim() === 'Fit to screen').pop()?.click()"
    )


def shown_nodes(page: Page) -> list[str]:
    """Names of the nodes that the Graphs page draws."""
    return page.evaluate(f"{_DEEP_QUERY}('g.node').map((node) => node.getAttribute('data-name'))")


def wait_for_text(page: Page, *words: str) -> str:
    """Waits until the page shows all of the words; returns its text."""
    for word in words:
        page.wait_for(f"({DEEP_TEXT}).includes({json.dumps(word)})", repr(word))
    return page.text()
