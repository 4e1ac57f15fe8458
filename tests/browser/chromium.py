"""A headless Chromium, driven over the DevTools protocol.

Small on purpose: open a page, evaluate JavaScript in it, wait until an expression holds, take a
picture. Every wait has a deadline and says what it waited for.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers run as root, where the sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
START_S = 60.0
CALL_S = 30.0


def find() -> str | None:
    """The path of a Chromium: SHARDTAPE_CHROMIUM, or the first of the usual names on PATH."""
    named = os.environ.get("SHARDTAPE_CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser process with a profile of its own; both are gone when the context ends."""

    def __init__(self, binary: str, width: int = 1440, height: int = 900) -> None:
        self._profile = tempfile.mkdtemp(prefix="shardtape-chromium-")
        self._log = open(Path(self._profile) / "log.txt", "wb")  # noqa: SIM115 - closed below
        command = [binary, *FLAGS, f"--user-data-dir={self._profile}"]
        command += [f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip
        try:
            self.page = Page(self._page_socket())
            self.page.resize(width, height)  # the window also has a frame
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and all its processes, and removes its profile."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(CALL_S)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _page_socket(self) -> str:
        """The address of the first page, once the browser has one."""
        port_file = Path(self._profile) / "DevToolsActivePort"
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, ValueError, IndexError):
                port = int(port_file.read_text().splitlines()[0])
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as got:
                    pages = [each for each in json.load(got) if each["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.1)
        self._log.flush()
        said = (Path(self._profile) / "log.txt").read_text(errors="replace")[-2000:]
        raise TimeoutError(f"the browser did not open its DevTools within {START_S:g} s:\n{said}")


class Page:
    """One page; its address is that of a DevTools socket."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=CALL_S)
        self._number = 0
        self.call("Page.enable")
        self.call("Runtime.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol and returns its result; events in between are dropped.

        Raises:
          RuntimeError: the browser refused.
          TimeoutError: no answer within 30 s.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        end = time.monotonic() + CALL_S
        while time.monotonic() < end:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
        raise TimeoutError(f"no answer to {method} within {CALL_S:g} s")

    def resize(self, width: int, height: int) -> None:
        """Sets the size of what is shown, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip

    def open(self, url: str) -> None:
        """Goes to an address, without waiting until it is shown."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The JSON value of a JavaScript expression, or of the promise that it gives.

        Raises:
          RuntimeError: the expression threw.
        """
        got = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in got:
            raise RuntimeError(f"{expression}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def wait_for(self, expression: str, what: str, deadline_s: float = 60.0) -> Any:
        """Waits until an expression is true, and returns its value.

        Raises:
          TimeoutError: it is not after `deadline_s` seconds; the text says what the page shows.
        """
        end = time.monotonic() + deadline_s
        while True:
            with contextlib.suppress(RuntimeError):  # the page is being replaced
                value = self.evaluate(expression)
                if value:
                    return value
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{what} did not appear within {deadline_s:g} s; the page shows: "
                    f"{self.text()[:2000]}"
                )
            time.sleep(0.2)

    def text(self) -> str:
        """All text on the page, that of shadow trees too."""
        return self.evaluate(DEEP_TEXT) or ""

    def screenshot(self, path: Path) -> None:
        """Writes what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


# TensorBoard's older pages are custom elements with shadow trees, which innerText leaves out.
DEEP_TEXT = """
(() => {
  const found = [];
  const visit = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.textContent.trim();
      if (text) found.push(text);
      return;
    }
    if (['STYLE', 'SCRIPT', 'TEMPLATE'].includes(node.nodeName)) return;
    if (node.shadowRoot) visit(node.shadowRoot);
    for (const child of node.childNodes) visit(child);
  };
  visit(document.documentElement);
  return found.join('\\n');
})()
"""
