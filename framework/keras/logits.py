"""Where probabilities came from: the logits of a softmax or sigmoid.

Keras computes cross-entropies from the logits even where it is handed probabilities, if it saw
them being made: a graph tells by itself, eager results are remembered here while they live.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

from shardtape.tensor import EagerTensor, SymbolicTensor

_made: dict[int, tuple[weakref.ref, Any]] = {}


def remember(probabilities: Any, logits: Any) -> Any:
    """Notes the logits of an eager result; returns the result."""
    if type(probabilities) is EagerTensor:
        key = id(probabilities)
        _made[key] = (weakref.ref(probabilities, lambda _: _made.pop(key, None)), logits)
    return probabilities


def logits_of(output: Any, from_logits: bool, op_type: str, function: str) -> tuple[Any, bool]:
    """(logits or the output itself, whether these are logits).

    Warns where probabilities are passed off as logits.
    """
    logits = None
    if type(output) is SymbolicTensor:
        if output.op.type == op_type:
            logits = output.op.inputs[0]
    else:
        found = _made.get(id(output))
        if found is not None and found[0]() is output:
            logits = found[1]
    if logits is None:
        return output, from_logits
    if from_logits:
        warnings.warn(
            f"`{function}` received `from_logits=True`, but the `output` argument was produced by "
            f"a {op_type} activation and thus does not represent logits. Was this intended?",
            stacklevel=3,
        )
    return logits, True
