"""What follows `--` in `shardtape deploy`: options of `shardtape train`, checked before a cluster
is asked to run them.

They are read by the parser of `train` itself and checked as a job checks them. What only the
script or the cluster knows is left open: which mode the script has, which folders there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from shardtape.errors import InvalidArgumentError
from shardtape.workers.config import JobConfig

# of this parser's errors about words, the base of typer.BadParameter
_PARSER_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_OWN = ("script", "arguments", "config")


def check_train_arguments(
    train: Any, script: str, arguments: Sequence[str], rendered: Mapping[str, Any]
) -> None:
    """
    Args:
      train: the parser's command `train`.
      script: path of the script, for the parser only.
      arguments: words that follow the rendered options of `train`.
      rendered: values of the options that the rendered files fix, by name.

    Raises:
      InvalidArgumentError: an option or a value that `train` would refuse, or one that says
        otherwise than the rendered files; one line that names it.
    """
    try:
        with train.make_context("train", [script, *arguments]) as context:
            found = dict(context.params)
    except _PARSER_ERROR as error:
        raise _wrong(error.format_message()) from None  # type: ignore[attr-defined]
    given = {k: v for k, v in found.items() if v is not None and k not in _OWN}
    for name, value in rendered.items():
        if name in given and given[name] != value:
            raise _wrong(_disagreement(name, given[name], value))
    try:
        JobConfig(**{**rendered, **_completed(given)}).validate()
    except InvalidArgumentError as error:
        raise _wrong(error.message) from None


def _wrong(text: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"after --: {text}")


def _disagreement(name: str, given: Any, rendered: Any) -> str:
    flag = "--" + name.replace("_", "-")
    if name == "address":
        return f"{flag} {given}: the job runs on the cluster that is rendered, leave it out"
    return f"{flag} {given:g}, but what is rendered is for {rendered:g}: give {flag} before the --"


def _completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """With what the script may say, so that nothing is refused which could be right there."""
    values = {k: v for k, v in given.items() if k != "summary"}  # a path on the cluster
    if "mode" not in values:
        if values.get("staleness"):
            values["mode"] = "ssp"
        elif values.get("backup_workers") or values.get("round_batches"):
            values["mode"] = "sync"
    if values.get("mode") == "sync" and values.get("backup_workers", 0) > 0:
        values.setdefault("round_batches", values["backup_workers"] + 1)
    return values
