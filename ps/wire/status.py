"""Errors on the wire: `shardtape.errors` to gRPC status codes and back."""

from __future__ import annotations

import logging

import grpc

from shardtape import errors

_LOG = logging.getLogger(__name__)
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# Status texts travel as HTTP/2 headers, which are limited to 8 KiB by default.
_TEXT_BYTES = 4000


def code_and_text(error: BaseException, what: str) -> tuple[int, str]:
    """Canonical code and text of an error that `what` (a call) raised; others are INTERNAL."""
    if isinstance(error, errors.OpError):
        return error.error_code, error.message
    # a fault of ours, not of who called: the log has the traceback
    _LOG.error("%s failed", what, exc_info=error)
    return errors.INTERNAL, f"{what} failed: {type(error).__name__}: {error}"


def grpc_status(error: BaseException, what: str) -> tuple[grpc.StatusCode, str]:
    """For `context.abort`."""
    code, text = code_and_text(error, what)
    return _CODES[code], shortened(text)


def shortened(text: str) -> str:
    """A text that fits a status."""
    cut = text.encode()[:_TEXT_BYTES].decode(errors="ignore")
    return text if cut == text else cut + " ..."


def from_code(code: int, text: str, shard: int | None = None) -> errors.OpError:
    """The error of an answer; `shard` (where it came from) becomes an attribute of it."""
    error = errors.from_code(code, text)
    if shard is not None:
        error.shard = shard  # type: ignore[attr-defined]
    return error


def from_call(
    error: grpc.RpcError, peer: str, waited_for: str, shard: int | None = None
) -> errors.OpError:
    """The error of a failed call.

    Args:
      peer: "shard 1 at 127.0.0.1:4000".
      waited_for: what the caller waited for.
    """
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() or "") if isinstance(error, grpc.Call) else str(error)
    number = code.value[0]
    if code == grpc.StatusCode.UNAVAILABLE:
        text = f"{peer} cannot be reached or went away while waiting for {waited_for}: {details}"
    elif code == grpc.StatusCode.DEADLINE_EXCEEDED:
        text = f"{peer} did not answer in time: waited for {waited_for}"
    elif code == grpc.StatusCode.CANCELLED:
        # a stream that we or the shard gave up; to the caller it is as good as broken
        number, text = errors.UNAVAILABLE, f"{peer}: the stream ended, waiting for {waited_for}"
    else:
        text = f"{peer}: {details}"
    return from_code(number, text, shard)
