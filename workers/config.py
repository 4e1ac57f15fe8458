"""The options of a job, put together and checked.

A value given later in this list wins: the default here, the script (`shardtape.Trainer(...)`),
a YAML file, `SHARDTAPE_*` in the environment, the command line. All values are checked in one
place, so that each wrong one gives the same readable error wherever it came from.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from shardtape.errors import InvalidArgumentError
from shardtape.workers.option_sources import nearest, read_environment, read_options_file

_log = logging.getLogger("shardtape.workers")

MODES = ("async", "ssp", "sync")
# The largest seed: a signed 64-bit integer, as TensorFlow's seeds are.
_LAST_SEED = 2**63 - 1


_SCRIPT, _DEFAULT = "the script", "the default"
# Options that only one mode has, with their mode.
_OF_MODE = {"staleness": "ssp", "round_batches": "sync", "backup_workers": "sync"}


class OptionError(InvalidArgumentError):
    """A wrong option that the script did not give: no line of the script is to blame."""


class OptionsClash(InvalidArgumentError):
    """Options that do not go together.

    Attributes:
      options: their names.
    """

    def __init__(self, text: str, *options: str) -> None:
        super().__init__(text)
        self.options = options

    def __reduce__(self) -> Any:
        return type(self), (self.message, *self.options)


class Interval(NamedTuple):
    """How often something happens: every `number` of `unit` ("epoch", "step" or "second")."""

    number: float
    unit: str

    def __str__(self) -> str:
        return f"{self.number:g} {self.unit}{'s' if self.number != 1 else ''}"


_INTERVAL_UNITS = {
    "": "step",
    "e": "epoch",
    "epoch": "epoch",
    "epochs": "epoch",
    "step": "step",
    "steps": "step",
    "s": "second",
    "second": "second",
    "seconds": "second",
    "min": "minute",
    "minute": "minute",
    "minutes": "minute",
}


def parse_interval(text: Any) -> Interval | None:
    """Reads "epoch", "2 epochs", "500 steps", "30 s", 500 (steps) or "never" (None)."""
    if text is None or isinstance(text, Interval):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)?\s*([a-z]*)\s*", str(text).lower())
    if match and match[2] in ("never", "none", "no"):
        return None
    if not match or match[2] not in _INTERVAL_UNITS or not (match[1] or match[2]):
        raise InvalidArgumentError(
            f"checkpoint_every is {text!r}: expected for example 'epoch', '2 epochs', "
            "'500 steps', '30 seconds' or 'never'"
        )
    number, unit = float(match[1] or 1), _INTERVAL_UNITS[match[2]]
    if unit == "minute":
        number, unit = number * 60, "second"
    if number <= 0:
        raise InvalidArgumentError(f"checkpoint_every is {text!r}: it must be more than zero")
    return Interval(number, unit)


def _option(default: Any, text: str, **more: Any) -> Any:
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default, metadata={"help": text, **more})
    return field(default=default, metadata={"help": text, **more})


@dataclass
class JobConfig:
    """All options of one training job; `validate` checks them together.

    Times are in seconds (`_s`). `ps=0, workers=0` trains in this process, without Ray and
    without sockets.
    """

    job: str = _option("", "name of the job; the script's name where it is not given")
    ps: int = _option(0, "number of parameter server shards")
    workers: int = _option(0, "number of worker processes")
    mode: str = _option("async", "consistency: async, ssp or sync")
    staleness: int = _option(0, "ssp: how many updates a worker may run ahead of the slowest")
    round_batches: int | None = _option(
        None, "sync: batches averaged into one update; the number of workers if not given"
    )
    round_reduction: str = _option("mean", "sync: 'mean' or 'sum' of a round's gradients")
    backup_workers: int = _option(0, "sync: batches of a round that need not be waited for")
    epochs: int = _option(1, "passes over the training data")
    batch_size: int = _option(32, "examples in a batch")
    eval_batch_size: int | None = _option(None, "examples in a batch of the test set")
    evaluate_every: int = _option(1, "epochs between evaluations; 0 evaluates only at the end")
    shuffle: bool = _option(True, "give the examples a new order in every epoch")
    splits: int | None = _option(None, "parts that a function of (split, of) is asked for")
    seed: int = _option(0, "seed of initial values, order of the data and dropout")
    partitioner: str = _option("auto", "'auto', or a number of parts for each variable")
    nan: str = _option("apply", "'apply' or 'refuse' gradients with a NaN or an infinity")
    on_bad_batch: str = _option("stop", "'stop' or 'skip' when a batch raises on several workers")
    bad_batch_workers: int = _option(2, "different workers on which a batch must raise")
    logdir: str | None = _option(None, "directory for TensorBoard's events")
    log_every: int = _option(
        10,
        "least steps between two points of a curve, more where workers report less often; "
        "a step is one batch of any worker",
    )
    checkpoint_dir: str | None = _option(None, "directory for checkpoints")
    checkpoint_every: Any = _option(
        "epoch", "'epoch', '500 steps', '30 seconds' or 'never'; one is also written at the end"
    )
    keep_checkpoints: int = _option(3, "newest checkpoints that are kept")
    resume: bool = _option(False, "go on from the newest whole checkpoint in checkpoint_dir")
    address: str = _option("local", "local, auto (a running Ray cluster) or ray://host:port")
    gpus_per_worker: float = _option(0.0, "GPUs of each worker")
    cpus_per_worker: float = _option(1.0, "CPUs that each worker asks of an existing cluster")
    threads: int | None = _option(None, "threads of each process; cores / processes if not given")
    port: int = _option(0, "port of the coordinator; 0 takes a free one")
    summary: str | None = _option(
        None, "file for the end figures as JSON; its folder is made, the one above must be there"
    )
    progress: str = _option("auto", "'auto', 'live', 'plain' or 'none'")
    max_worker_restarts: int = _option(20, "deaths of worker processes before the job gives up")
    heartbeat_timeout_s: float = _option(20.0, "silence after which a process counts as dead")
    start_timeout_s: float = _option(120.0, "longest time until all processes have started")
    push_timeout_s: float = _option(60.0, "longest time until a push is acknowledged")

    def validate(self) -> JobConfig:
        """Checks every value and all of them together.

        Returns:
          This config.

        Raises:
          InvalidArgumentError: names the first wrong option, its value and what is expected.
        """
        for f in dataclasses.fields(self):
            setattr(self, f.name, _converted(f, getattr(self, f.name)))
        _one_of(self, "mode", MODES)
        _one_of(self, "round_reduction", ("mean", "sum"))
        _one_of(self, "on_bad_batch", ("stop", "skip"))
        _one_of(self, "nan", ("apply", "refuse"))
        _one_of(self, "progress", ("auto", "live", "plain", "none"))
        for name in ("ps", "workers", "staleness", "backup_workers", "evaluate_every", "seed"):
            _at_least(self, name, 0)
        for name in ("epochs", "batch_size", "log_every", "keep_checkpoints", "bad_batch_workers"):
            _at_least(self, name, 1)
        for name in ("round_batches", "eval_batch_size", "splits", "threads"):
            if getattr(self, name) is not None:
                _at_least(self, name, 1)
        for name in ("gpus_per_worker", "cpus_per_worker", "max_worker_restarts"):
            _at_least(self, name, 0)
        for name in ("heartbeat_timeout_s", "start_timeout_s", "push_timeout_s"):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)}: seconds, above 0")
        if self.seed > _LAST_SEED:
            raise InvalidArgumentError(f"seed is {self.seed}: expected 0 to {_LAST_SEED}")
        if not 0 <= self.port < 65536:
            raise InvalidArgumentError(f"port is {self.port}: expected 0 to 65535")
        if (self.ps == 0) != (self.workers == 0):
            raise OptionsClash(
                f"ps is {self.ps} and workers is {self.workers}: give both a number above zero, "
                "or leave both at 0 to train in this process",
                *("ps", "workers"),
            )
        if self.workers == 0 and self.gpus_per_worker:
            raise OptionsClash(
                "gpus_per_worker needs workers=1 or more", "gpus_per_worker", "workers"
            )
        for name, mode in _OF_MODE.items():
            if getattr(self, name) and self.mode != mode:
                raise OptionsClash(
                    f"{name} is {getattr(self, name)} but mode is {self.mode!r}: it belongs to "
                    f"mode {mode!r}",
                    *(name, "mode"),
                )
        if self.backup_workers and self.backup_workers >= self.round_length:
            raise OptionsClash(
                f"backup_workers is {self.backup_workers}, a round has {self.round_length} "
                "batches: at least one of them has to count",
                *("backup_workers", "round_batches" if self.round_batches else "workers"),
            )
        self.checkpoint_every = parse_interval(self.checkpoint_every)
        if self.summary is not None:
            above = Path(self.summary).absolute().parent.parent
            if not above.is_dir():  # said now, not when hours of training are over
                raise InvalidArgumentError(f"summary is {self.summary!r}: there is no {above}")
            if Path(self.summary).is_dir():
                raise InvalidArgumentError(f"summary is {self.summary!r}: that is a folder")
        if self.resume and not self.checkpoint_dir:
            raise OptionsClash(
                "resume needs checkpoint_dir: where shall it look?", "resume", "checkpoint_dir"
            )
        if not re.fullmatch(r"local|auto|ray://.+|[\w.\-]+:\d+", self.address):
            raise InvalidArgumentError(
                f"address is {self.address!r}: expected local, auto, ray://host:port or host:port"
            )
        if self.partitioner != "auto" and not re.fullmatch(r"[1-9]\d*", self.partitioner):
            raise InvalidArgumentError(
                f"partitioner is {self.partitioner!r}: expected 'auto' or a number of parts"
            )
        self.job = re.sub(r"[^A-Za-z0-9_.\-]+", "-", self.job or "train")
        return self

    @property
    def round_length(self) -> int:
        """Batches in a sync round; depends on the configured, never on the living workers."""
        return self.round_batches or max(1, self.workers)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the YAML file and the command line write them."""
        values = dataclasses.asdict(self)
        every = self.checkpoint_every
        values["checkpoint_every"] = "never" if every is None else str(every)
        return values


def option_names() -> tuple[str, ...]:
    """Names of all options, in the order of their definition."""
    return tuple(f.name for f in dataclasses.fields(JobConfig))


def option_help() -> dict[str, str]:
    """One line on each option, for `shardtape train --help` and the docs."""
    return {f.name: f.metadata["help"] for f in dataclasses.fields(JobConfig)}


def _converted(f: dataclasses.Field[Any], value: Any) -> Any:
    """Turns text (environment, YAML) into the option's type; None stays where it may be."""
    kind = str(f.type)
    if value is None or kind == "Any":
        if value is None and "None" not in kind and kind != "Any":
            raise InvalidArgumentError(f"{f.name} is None: expected {_kind_name(kind)}")
        return value
    if isinstance(value, str) and value.lower() in ("none", "null", "") and "None" in kind:
        return None
    try:
        if kind.startswith("bool"):
            return _boolean(value)
        if kind.startswith("int"):
            # 1.0 is a whole number too; a whole one must not go through a float, which rounds
            if isinstance(value, bool) or (not isinstance(value, str) and int(value) != value):
                raise ValueError
            return int(value)
        if kind.startswith("float"):
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        if isinstance(value, (str, os.PathLike)):
            return os.fspath(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise InvalidArgumentError(f"{f.name} is {value!r}: expected {_kind_name(kind)}") from None


def _kind_name(kind: str) -> str:
    names = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    return names.get(kind.split(" ")[0], "text")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ValueError


def _one_of(config: JobConfig, name: str, allowed: tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value in allowed:
        return
    close = difflib.get_close_matches(str(value), allowed, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InvalidArgumentError(f"{name} is {value!r}: expected one of {', '.join(allowed)}{hint}")


def _at_least(config: JobConfig, name: str, low: int) -> None:
    value = getattr(config, name)
    if value < low:
        raise InvalidArgumentError(f"{name} is {value}: expected {low} or more")


@dataclass
class Uses:
    """How often the options were asked for, and jobs begun, while `overriding` was open."""

    resolved: int = 0
    begun: int = 0


# what `shardtape train` was given, while it runs the script
_command_line: dict[str, Any] = {}
_file: dict[str, Any] = {}
_uses = Uses()


def job_begins() -> None:
    """A job starts to train: tells `overriding` that its options were of use."""
    _uses.begun += 1


@contextlib.contextmanager
def overriding(
    command_line: Mapping[str, Any] | None = None, file: Mapping[str, Any] | None = None
) -> Iterator[Uses]:
    """While it is open, these options win over those that a script gives to its Trainer.

    Options whose value is None count as not given. `shardtape train` runs the script in it.

    Yields:
      What came of them so far.
    """
    global _uses
    saved, uses_before = (dict(_command_line), dict(_file)), _uses
    _uses = Uses()
    _command_line.update({k: v for k, v in (command_line or {}).items() if v is not None})
    _file.update(file or {})
    try:
        yield _uses
    finally:
        _uses = uses_before
        for store, old in zip((_command_line, _file), saved):
            store.clear()
            store.update(old)


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A job's options from a YAML file; see `option_sources.read_options_file`."""
    return read_options_file(path, option_names())


def resolve(
    script: Mapping[str, Any],
    file: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    command_line: Mapping[str, Any] | None = None,
) -> JobConfig:
    """Puts the options together, later ones over earlier ones, and validates the result.

    An option that belongs to another mode than the one chosen is set aside, with a note, where
    it comes from an earlier source than the mode: whoever chose the mode did not know of it.

    Args:
      script: what the program itself gave to `Trainer`.
      file: read from a YAML file; by default the one of `overriding`.
      environment: variables; by default this process's.
      command_line: by default that of `overriding`.

    Raises:
      InvalidArgumentError: an unknown name or a wrong value; the text says where it came from.
        An `OptionError` where that is not the script.
    """
    _uses.resolved += 1
    layers = (
        (_SCRIPT, script),
        ("the options file", {**_file, **(file or {})}),
        ("the environment", read_environment(option_names(), environment)),
        ("the command line", {**_command_line, **(command_line or {})}),
    )
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    known = option_names()
    for source, given in layers:
        kind = InvalidArgumentError if source == _SCRIPT else OptionError
        for name, value in given.items():
            if name not in known:
                raise kind(f"{source} has an unknown option {name!r}{nearest(name, known)}")
            values[name], origin[name] = value, source
    _set_aside(values, origin, [source for source, _ in layers])
    try:
        return JobConfig(**values).validate()
    except InvalidArgumentError as error:
        options = error.options if isinstance(error, OptionsClash) else (error.message.split()[0],)
        sources = {name: origin.get(name, _DEFAULT) for name in options}
        if set(sources.values()) <= {_SCRIPT, _DEFAULT}:
            raise
        raise OptionError(f"{error.message} ({_told_sources(sources)})") from None


def _set_aside(values: dict[str, Any], origin: dict[str, str], order: list[str]) -> None:
    """Takes out what belongs to another mode and comes from an earlier source than the mode."""
    mode = values.get("mode")
    if mode not in MODES:
        return
    chosen_in = order.index(origin["mode"])
    told = []
    for name, owner in _OF_MODE.items():
        if name in values and owner != mode and order.index(origin[name]) < chosen_in:
            value = values.pop(name)
            if str(value).lower() not in ("0", "none", "null", ""):  # it would have meant something
                told.append(f"{name}={value} from {origin[name]} (mode {owner})")
    if told:
        aside = " and ".join(told)
        _log.warning("note: mode is %s (from %s): set aside is %s", mode, origin["mode"], aside)


def _told_sources(sources: Mapping[str, str]) -> str:
    """ "from X" where all options come from there, else each one's own source."""
    different = set(sources.values())
    if len(different) == 1:
        return f"from {different.pop()}"
    return ", ".join(
        f"{name} is {source}" if source == _DEFAULT else f"{name} from {source}"
        for name, source in sources.items()
    )
