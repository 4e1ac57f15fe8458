"""Where probabilities came from: the logits of a softmax or sigmoid.

Keras computes cross-entropies from the logits even where it is handed probabilities, if it saw
them being made. Its own activations note the logits on their results as `_keras_logits`, and any
cross-entropy takes them, that of the other activation too; in a graph the plain op tells as well,
but only to the cross-entropy it belongs to.
"""

from __future__ import annotations

import warnings
from typing import Any

from shardtape.tensor import SymbolicTensor, Tensor


def remember(probabilities: Any, logits: Any) -> Any:
    """Notes the logits on a result; returns the result."""
    if isinstance(probabilities, Tensor):
        probabilities._keras_logits = logits  # type: ignore[attr-defined]
    return probabilities


def logits_of(output: Any, from_logits: bool, op_type: str, function: str) -> tuple[Any, bool]:
    """(logits or the output itself, whether these are logits).

    Warns where probabilities are passed off as logits.
    """
    logits = getattr(output, "_keras_logits", None)
    if logits is None and type(output) is SymbolicTensor and output.op.type == op_type:
        logits = output.op.inputs[0]
    if logits is None:
        return output, from_logits
    if from_logits:
        warnings.warn(
            f"`{function}` received `from_logits=True`, but the `output` argument was produced by "
            f"a {op_type} activation and thus does not represent logits. Was this intended?",
            stacklevel=3,
        )
    return logits, True
