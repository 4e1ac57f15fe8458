"""Parts of TensorFlow that this framework does not have, and what it says of them."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable
from typing import Any

_REASONS = {
    "estimator": "use tf.keras or tf.Trainer",
    "feature_column": "use the layers of tf.keras.layers (Normalization, StringLookup, ...)",
    "dtensor": "use tf.Trainer, which shards Variables over parameter servers",
}


class Absent:
    """Stands for a module that is not part of this framework; asking it for a name says so."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        reason = _REASONS[self._path.rsplit(".", 1)[-1]]
        raise AttributeError(
            f"{self._path}.{name}: {self._path} is not part of this framework; {reason}"
        )

    def __repr__(self) -> str:
        return f"<{self._path}, which is not part of this framework>"


estimator = Absent("tf.estimator")
feature_column = Absent("tf.feature_column")
dtensor = Absent("tf.experimental.dtensor")


# Names that are no part of this framework, with what to use instead; whole namespaces end in ".".
_NOT_PART = {
    "tf.estimator": _REASONS["estimator"],
    "tf.feature_column": _REASONS["feature_column"],
    "tf.experimental.dtensor": _REASONS["dtensor"],
    "tf.dtensor": _REASONS["dtensor"],
    "tf.keras.dtensor": _REASONS["dtensor"],
    "tf.keras.estimator": _REASONS["estimator"],
    "tf.keras.layers.DenseFeatures": _REASONS["feature_column"],
    "tf.lite": "export weights with numpy for mobile runtimes",
    "tf.mlir": "there is no compiler beneath",
    "tf.tpu": "it runs on CPUs and GPUs",
    "tf.tools": "use the `shardtape` command",
    "tf.xla": "tf.function compiles its graph by itself",
    "tf.load_op_library": "write ops in Python: tf.py_function, tf.custom_gradient",
    "tf.load_library": "write ops in Python: tf.py_function, tf.custom_gradient",
    "tf.distribute.TPUStrategy": "use tf.Trainer",
    "tf.distribute.experimental.TPUStrategy": "use tf.Trainer",
    "tf.distribute.experimental.rpc": "use tf.Trainer, which starts its processes",
    "tf.train.ClusterDef": "use tf.Trainer, which starts its processes",
    "tf.train.JobDef": "use tf.Trainer, which starts its processes",
    "tf.train.ServerDef": "use tf.Trainer, which starts its processes",
    "tf.config.experimental_connect_to_cluster": "use tf.Trainer, which starts its processes",
    "tf.config.experimental_connect_to_host": "use tf.Trainer, which starts its processes",
    "tf.config.experimental.ClusterDeviceFilters": "use tf.Trainer, which starts its processes",
    "tf.data.experimental.service": "tf.Trainer deals the data out to workers",
    "tf.profiler.experimental.client": "start the profiler in the process itself",
    "tf.profiler.experimental.server": "start the profiler in the process itself",
    "tf.experimental.tensorrt": "there is no TensorRT beneath",
    "tf.experimental.register_filesystem_plugin": "remote paths go through fsspec",
}  # fmt: skip

# Whole namespaces and names of TensorFlow that may come; a name close to them would be nonsense.
_NOT_YET = {
    "tf.Session": "call a tf.function, which runs a graph",
    "tf.InteractiveSession": "call a tf.function, which runs a graph",
    "tf.graph_util": "use tf.function(...).get_concrete_function()",
    "tf.get_variable": "use tf.Variable, or add_weight of a Keras layer",
    "tf.variable_scope": "use tf.name_scope, or a Keras layer",
    "tf.global_variables_initializer": "Variables have their first values when they are made",
    "tf.local_variables_initializer": "Variables have their first values when they are made",
    "tf.get_default_session": "call a tf.function, which runs a graph",
    "tf.get_default_graph": "use tf.function, which has a graph of its own",
    "tf.reset_default_graph": "use tf.function, which has a graph of its own",
    "tf.layers": "use tf.keras.layers",
    "tf.contrib": "use tf.keras",
    "tf.app": "use argparse and the script's own main",
    "tf.flags": "use argparse",
    "tf.logging": "use logging, or tf.get_logger()",
    "tf.gfile": "use tf.io.gfile",
    "tf.experimental.StructuredTensor": "use a dictionary of ragged tensors",
}  # fmt: skip

# Names of TensorFlow 1 whose successors have other names.
_MOVED = {
    "tf.train.AdadeltaOptimizer": "tf.keras.optimizers.Adadelta",
    "tf.train.AdagradOptimizer": "tf.keras.optimizers.Adagrad",
    "tf.train.AdamOptimizer": "tf.keras.optimizers.Adam",
    "tf.train.FtrlOptimizer": "tf.keras.optimizers.Ftrl",
    "tf.train.GradientDescentOptimizer": "tf.keras.optimizers.SGD",
    "tf.train.MomentumOptimizer": "tf.keras.optimizers.SGD",
    "tf.train.Optimizer": "tf.keras.optimizers.Optimizer",
    "tf.train.RMSPropOptimizer": "tf.keras.optimizers.RMSprop",
    "tf.train.Saver": "tf.train.Checkpoint",
    "tf.train.exponential_decay": "tf.keras.optimizers.schedules.ExponentialDecay",
}

# The public namespaces, as users write them after "tf.".
NAMESPACES = (
    "audio", "autodiff", "autograph", "autograph.experimental", "bitwise", "compat", "compat.v1",
    "config", "config.experimental", "config.optimizer", "config.threading", "data",
    "data.experimental", "debugging", "debugging.experimental", "distribute",
    "distribute.cluster_resolver", "distribute.coordinator", "distribute.experimental", "dtypes",
    "errors", "experimental", "experimental.dlpack", "experimental.numpy",
    "experimental.numpy.random", "graph_util", "image", "initializers", "io", "io.gfile", "keras",
    "keras.activations", "keras.applications", "keras.backend", "keras.callbacks",
    "keras.constraints", "keras.datasets", "keras.initializers", "keras.layers", "keras.losses",
    "keras.metrics", "keras.mixed_precision", "keras.models", "keras.optimizers",
    "keras.optimizers.legacy", "keras.optimizers.schedules", "keras.preprocessing",
    "keras.regularizers", "keras.saving", "keras.utils", "linalg", "linalg.experimental", "lookup",
    "lookup.experimental", "math", "math.special", "nest", "nn", "nn.experimental", "optimizers",
    "profiler", "profiler.experimental", "quantization", "queue", "ragged", "random",
    "random.experimental", "saved_model", "sets", "signal", "sparse", "strings", "summary",
    "summary.experimental", "sysconfig", "test", "train", "train.experimental", "types",
    "types.experimental", "version",
)  # fmt: skip


def no_such_name(path: str, names: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`: AttributeError that says the nearest of the names that are there.

    Args:
      path: the module as users write it, like "tf.data".
    """
    known = sorted(names)

    def missing(name: str) -> Any:
        raise AttributeError(missing_text(path, name, known))

    return missing


def reason_for(path: str) -> str | None:
    """What to use instead of a name that is not here, as "tf.Session"; None if nothing."""
    return _NOT_PART.get(path) or _NOT_YET.get(path)


def missing_text(path: str, name: str, known: Iterable[str]) -> str:
    """What is said of a name that a namespace does not have.

    Args:
      path: the namespace as users write it, like "tf" or "tf.math".
      known: the names that it has.
    """
    reason = _NOT_PART.get(f"{path}.{name}")
    if reason is not None:
        return f"{path}.{name} is not part of this framework; {reason}"
    reason = _NOT_YET.get(f"{path}.{name}")
    if reason is not None:
        return f"{path}.{name} is not part of this framework yet; {reason}"
    text = f"module '{path}' has no attribute '{name}'"
    if name.startswith("__"):
        return text
    moved = _MOVED.get(f"{path}.{name}")
    if moved is not None:
        return f"{text}; its place is taken by '{moved}'"
    elsewhere = [p for p in _paths_of(name) if p != f"{path}.{name}"]
    later = [p.rpartition(".")[2] for p in _NOT_YET if p.rpartition(".")[0] == path]
    near = _nearest(name, [*known, *later])
    if elsewhere:
        return f"{text}; there is '{elsewhere[0]}'"
    reason = _NOT_YET.get(f"{path}.{near}")
    if reason is not None:
        return f"{text}; the nearest, {path}.{near}, is not part of this framework yet; {reason}"
    return f"{text}; the nearest name is '{near}'" if near else text


def _nearest(name: str, known: Iterable[str]) -> str | None:
    names = list(known)
    near = difflib.get_close_matches(name.lower(), {k.lower() for k in names}, 1, cutoff=0.4)
    if not near:
        return None
    alike = [k for k in names if k.lower() == near[0]]  # a class and its function, say
    return max(alike, key=lambda k: difflib.SequenceMatcher(None, name, k).ratio())


def _paths_of(name: str) -> list[str]:
    """Where else a name is found."""
    import shardtape

    found = []
    for path in ("", *NAMESPACES):
        module = namespace(shardtape, path)
        if module is None or name.startswith("_"):
            continue
        if name in vars(module) or name in vars(module).get("__all__", ()):
            found.append(".".join(p for p in ("tf", path, name) if p))
    # TensorFlow's own functions before those in the manner of NumPy and Keras's old backend
    return sorted(found, key=lambda p: p.startswith(("tf.experimental", "tf.keras.backend")))


def namespace(root: Any, path: str) -> Any:
    """A namespace of the framework by its path ("" for the root); None where there is none."""
    for part in path.split(".") if path else ():
        root = vars(root).get(part)
        if not isinstance(root, types.ModuleType):
            return None
    return root


def explain_missing_names(root: Any) -> None:
    """Gives all namespaces that have no `__getattr__` one that says the nearest name.

    `dir` of a namespace with an `__all__` lists that, not what the module needs itself.
    """
    for path in NAMESPACES:
        module = namespace(root, path)
        if module is not None and "__dir__" not in vars(module) and "__all__" in vars(module):
            vars(module)["__dir__"] = _listing_of(module, f"tf.{path}")
        if module is not None and "__getattr__" not in vars(module):
            vars(module)["__getattr__"] = _missing_of(module, f"tf.{path}")


class NearestName(type):
    """The type of a class whose missing attributes are told with the nearest that is there."""

    def __getattr__(cls, name: str) -> Any:
        raise missing_attribute(cls, name, f"type object '{cls.__name__}'")


def missing_attribute(cls: type, name: str, what: str) -> AttributeError:
    """The error of an attribute that a class or (as `what` says) its object does not have."""
    text = f"{what} has no attribute '{name}'"
    near = None
    if not name.startswith("_"):
        near = _nearest(name, [n for n in dir(cls) if not n.startswith("_")])
    return AttributeError(f"{text}; the nearest name is '{near}'" if near else text)


# Names that are there for the framework's own use or for older programs; TensorFlow lists none.
_UNLISTED = {
    "tf.keras.layers": {"PreprocessingLayer", "SyncBatchNormalization"},
    "tf.keras.losses": {"BCE", "FunctionLoss", "bce", "huber_loss"},
    "tf.keras.optimizers": {"Rule", "rule_from_config"},
}


def _listing_of(module: types.ModuleType, path: str) -> Callable[[], list[str]]:
    def listing() -> list[str]:
        special = (n for n in vars(module) if n.startswith("__"))
        return sorted({*vars(module)["__all__"], *special} - _UNLISTED.get(path, set()))

    return listing


def _missing_of(module: types.ModuleType, path: str) -> Callable[[str], Any]:
    def missing(name: str) -> Any:
        known = [n for n in vars(module) if not n.startswith("_")]
        raise AttributeError(missing_text(path, name, known))

    return missing
