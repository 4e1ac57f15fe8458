"""Where options come from beside the script: a YAML file, and variables of the environment."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from shardtape.errors import InvalidArgumentError, NotFoundError

_log = logging.getLogger("shardtape.workers")

ENVIRONMENT_PREFIX = "SHARDTAPE_"
# Interpreters of the other frameworks: benchmarks and `make parity` read these.
_OF_OTHERS = frozenset({"SHARDTAPE_PEERS_PYTHON", "SHARDTAPE_PARITY_PYTHON"})
# What Kubernetes sets in every container for each service, here for one called shardtape-...
_OF_KUBERNETES = re.compile(
    r"SHARDTAPE_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
    r"|SHARDTAPE_\w+_PORT"
)
_warned: set[str] = set()


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean X?" where something known is alike, else nothing."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def read_environment(
    known: Iterable[str], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Options from SHARDTAPE_* variables: SHARDTAPE_BATCH_SIZE=64 gives batch_size "64".

    A variable with the prefix that names no option is warned of, once in a process; those of
    the benchmarks and of Kubernetes's services are left to their owners.

    Args:
      known: names of the options.
      environment: this process's by default.
    """
    environment = os.environ if environment is None else environment
    names = {ENVIRONMENT_PREFIX + name.upper(): name for name in known}
    found = {}
    for variable in sorted(environment):
        if variable in names:
            found[names[variable]] = environment[variable]
        elif _looks_like_an_option(variable) and variable not in _warned:
            _warned.add(variable)
            flag = variable == f"{ENVIRONMENT_PREFIX}CONFIG"
            _log.warning(
                "warning: %s is set, but there is no such option%s",
                variable,
                "; give the file with --config" if flag else nearest(variable, names),
            )
    return found


def _looks_like_an_option(variable: str) -> bool:
    ours = variable.startswith(ENVIRONMENT_PREFIX) and variable not in _OF_OTHERS
    return ours and not _OF_KUBERNETES.fullmatch(variable)


def read_options_file(path: str | os.PathLike[str], known: Iterable[str]) -> dict[str, Any]:
    """Options from a YAML file: one mapping, with dashes or underscores in the names.

    Args:
      known: names of the options.

    Raises:
      NotFoundError: there is no such file.
      InvalidArgumentError: it is no YAML mapping, names an option twice (with dashes and with
        underscores is the same name), or one that is not known; the text names the line.
    """
    where = f"options file {os.fspath(path)}"
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise NotFoundError(f"{where}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{where} is no text: {error}") from None
    loader = yaml.SafeLoader(text)
    try:
        return _options(loader, where, tuple(known))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or str(error)
        raise InvalidArgumentError(f"{where}{line}: {problem}") from None
    finally:
        loader.dispose()


def _options(loader: yaml.SafeLoader, where: str, known: tuple[str, ...]) -> dict[str, Any]:
    root = loader.get_single_node()
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        kind = type(loader.construct_document(root)).__name__
        raise InvalidArgumentError(f"{where}: expected lines like 'batch_size: 32', not a {kind}")
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, value in root.value:
        # a mark counts from 0
        name, line = _name(loader, key), key.start_mark.line + 1
        if name in lines:
            raise InvalidArgumentError(
                f"{where}, line {line}: {name} is there already, in line {lines[name]}"
            )
        if name not in known:
            raise InvalidArgumentError(
                f"{where}, line {line}: there is no option {name}{nearest(name, known)}"
            )
        lines[name] = line
        values[name] = loader.construct_object(value, deep=True)
    return values


def _name(loader: yaml.SafeLoader, key: yaml.Node) -> str:
    name: Hashable = loader.construct_object(key, deep=True)
    return str(name).replace("-", "_")
