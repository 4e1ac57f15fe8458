"""Peers of kernels: one thread, milliseconds for each case of kernel_cases.py, asked one by one.

    python kernels.py tf|ours

Reads `{"case": NAME}` on standard input and answers with the least milliseconds of the function
and of the function with its gradient (null without one), both compiled by `tf.function`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from children import hear, say
from measure import pin, tensorflow


def least_ms(step: Callable[[], object], window_s: float = 0.04, windows: int = 4) -> float:
    """The least milliseconds of one call, of the means over several windows."""
    for _ in range(3):
        step()
    begin = time.perf_counter()
    step()
    count = max(1, int(window_s / max(1e-7, time.perf_counter() - begin)))
    found = []
    for _ in range(windows):
        begin = time.perf_counter()
        for _ in range(count):
            step()
        found.append((time.perf_counter() - begin) / count)
    return 1e3 * min(found)


def measure(tf: Any, name: str) -> dict[str, Any]:
    """The figures of one case."""
    import numpy as np
    from kernel_cases import CASES

    rng = np.random.default_rng(7)
    case = CASES[name](tf, rng)
    inputs = [tf.constant(x) for x in case.inputs]
    forward = tf.function(case.function)
    result = forward(*inputs)
    found: dict[str, Any] = {"case": name, "forward": least_ms(lambda: forward(*inputs))}
    found["gradient"] = None
    if case.by or case.variables:
        # random, so that no product with ones can be left out
        seed = tf.constant(rng.standard_normal(result.shape, np.float32))

        def differentiated(seed: Any, *inputs: Any) -> Any:
            wanted = [inputs[i] for i in case.by]
            with tf.GradientTape() as tape:
                tape.watch(wanted)
                y = case.function(*inputs)
            return tape.gradient(y, [*wanted, *case.variables], seed)

        gradient = tf.function(differentiated)
        found["gradient"] = least_ms(lambda: gradient(seed, *inputs))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=("tf", "ours"))
    chosen = parser.parse_args().peer
    pin(1)
    if chosen == "tf":
        tf = tensorflow(1)
    else:
        import shardtape as tf
    while True:
        name = hear()["case"]
        try:
            say(measure(tf, name))
        except Exception as error:  # noqa: BLE001 - told to who asks, with the case's name
            say({"case": name, "error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
