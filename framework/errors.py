"""The tree of errors, which mirrors `tf.errors`.

OpError
├── CancelledError            (1)   ├── AbortedError         (10)
├── UnknownError              (2)   ├── OutOfRangeError      (11)
├── InvalidArgumentError      (3)   ├── UnimplementedError   (12)
├── DeadlineExceededError     (4)   ├── InternalError        (13)
├── NotFoundError             (5)   ├── UnavailableError     (14)
├── AlreadyExistsError        (6)   ├── DataLossError        (15)
├── PermissionDeniedError     (7)   └── UnauthenticatedError (16)
├── ResourceExhaustedError    (8)
└── FailedPreconditionError   (9)

The numbers are the canonical status codes of gRPC, so that an error crosses a socket and
comes back as the same class (`from_code`).
"""

from __future__ import annotations

from typing import Any

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


_ARGUMENTS = ("node_def", "op", "message", "error_code")


def _in_order(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Arguments that were given by name in their places."""
    full = dict(zip(_ARGUMENTS, args))
    for key, value in named.items():
        if key not in _ARGUMENTS or key in full:
            raise TypeError(f"{name}() got an unexpected argument {key!r}")
        full[key] = value
    if "message" not in full:
        raise TypeError(f"{name}() misses the argument 'message'")
    code = (full["error_code"],) if "error_code" in full else ()
    return (full.get("node_def"), full.get("op"), full["message"], *code)


class OpError(Exception):
    """Root of all errors that Shardtape raises on purpose.

    Args:
      Either one argument, the message, or TensorFlow's three: `node_def`, `op`, `message`, also
      by name; of OpError the number of the code behind them.
    """

    error_code = UNKNOWN

    def __init__(self, *args: Any, **named: Any) -> None:
        if named:
            args = _in_order(type(self).__name__, args, named)
        if len(args) >= 3:
            node_def, op, message = args[:3]
        elif len(args) == 1:
            node_def, op, message = None, None, args[0]
        else:
            raise TypeError(f"{type(self).__name__} takes (message) or (node_def, op, message)")
        if len(args) > 3 and type(self) is OpError:
            self.error_code = args[3]
        super().__init__(message)
        self._node_def, self._op, self._message = node_def, op, str(message)

    @property
    def experimental_payloads(self) -> dict[bytes, bytes]:
        """What a service may have added to a status; nothing here does."""
        return {}

    @property
    def message(self) -> str:
        """What was expected, what came, what to do."""
        return self._message

    @property
    def op(self) -> Any:
        """The operation that failed, where it is known, else None."""
        return self._op

    @property
    def node_def(self) -> Any:
        """The node's definition, where it is known, else None."""
        return self._node_def

    def __str__(self) -> str:
        return self._message

    def __reduce__(self) -> tuple[Any, ...]:
        # op and node_def may hold graphs, which do not cross processes
        return type(self), (self._message,)


class OperatorNotAllowedInGraphError(TypeError):
    """A tensor without a value was used where Python needs one (`if`, `for`, `bool`)."""


class InaccessibleTensorError(TypeError, ValueError):
    """A tensor of a function's graph was used outside of it."""


class CancelledError(OpError):
    error_code = CANCELLED


class UnknownError(OpError):
    error_code = UNKNOWN


class InvalidArgumentError(OpError):
    error_code = INVALID_ARGUMENT


class DeadlineExceededError(OpError):
    error_code = DEADLINE_EXCEEDED


class NotFoundError(OpError):
    error_code = NOT_FOUND


class AlreadyExistsError(OpError):
    error_code = ALREADY_EXISTS


class PermissionDeniedError(OpError):
    error_code = PERMISSION_DENIED


class ResourceExhaustedError(OpError):
    error_code = RESOURCE_EXHAUSTED


class FailedPreconditionError(OpError):
    error_code = FAILED_PRECONDITION


class AbortedError(OpError):
    error_code = ABORTED


class OutOfRangeError(OpError):
    error_code = OUT_OF_RANGE


class UnimplementedError(OpError):
    error_code = UNIMPLEMENTED


class InternalError(OpError):
    error_code = INTERNAL


class UnavailableError(OpError):
    error_code = UNAVAILABLE


class DataLossError(OpError):
    error_code = DATA_LOSS


class UnauthenticatedError(OpError):
    error_code = UNAUTHENTICATED


_BY_CODE = {
    cls.error_code: cls
    for cls in (
        CancelledError, UnknownError, InvalidArgumentError, DeadlineExceededError, NotFoundError,
        AlreadyExistsError, PermissionDeniedError, ResourceExhaustedError,
        FailedPreconditionError, AbortedError, OutOfRangeError, UnimplementedError,
        InternalError, UnavailableError, DataLossError, UnauthenticatedError,
    )
}  # fmt: skip


def from_code(code: int, message: str) -> OpError:
    """The error of a canonical status code; an unknown code gives `UnknownError`."""
    return _BY_CODE.get(code, UnknownError)(message)


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """TensorFlow's name for the class of a canonical code. Raises KeyError if there is none."""
    return _BY_CODE[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """TensorFlow's name for the canonical code of a class."""
    return cls.error_code
