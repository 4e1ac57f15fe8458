"""`tf.keras.export`: computations of a model as a saved model for serving, without Python code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from shardtape import nest, storage
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import Function
from shardtape.variable import Variable


class ExportArchive:
    """Functions by name (endpoints) and the Variables that they use.

    What `tf.saved_model.load` makes of it has the endpoints as attributes and as signatures; the
    first one is `serving_default` too.

    Example:
      >>> archive = tf.keras.export.ExportArchive()
      >>> archive.track(model)
      >>> archive.add_endpoint("serve", model.call, [tf.TensorSpec((None, 3), tf.float32)])
      >>> archive.write_out("exported")
      >>> tf.saved_model.load("exported").serve(x)
    """

    def __init__(self) -> None:
        self.variables: list[Variable] = []
        self.trainable_variables: list[Variable] = []
        self.non_trainable_variables: list[Variable] = []
        self._endpoints: dict[str, Function] = {}
        self._collections: dict[str, list[Variable]] = {}

    def track(self, resource: Any) -> None:
        """Keeps the Variables of a layer, model or module.

        Raises:
          ValueError: it is a layer that was not built, or holds no Variables by its kind.
        """
        if not hasattr(type(resource), "trainable_variables"):
            raise ValueError(
                "Invalid resource type. Expected a layer, a model or a tf.Module. Received: "
                f"{resource!r} of type {type(resource).__name__}"
            )
        if not getattr(resource, "built", True):
            raise ValueError(
                "The layer provided has not yet been built. It must be built before export: call "
                f"{getattr(resource, 'name', type(resource).__name__)} on data, or its `build`"
            )
        known = {v._id for v in self.variables}
        new = [v for v in resource.variables if v._id not in known]
        trained = {v._id for v in resource.trainable_variables}
        self.variables += new
        self.trainable_variables += [v for v in new if v._id in trained]
        self.non_trainable_variables += [v for v in new if v._id not in trained]

    def add_endpoint(
        self, name: str, fn: Callable[..., Any], input_signature: Sequence[Any] | None = None
    ) -> None:
        """Adds a function.

        Args:
          name: what it is called in the loaded object.
          fn: a Python function, or a `tf.function` that was called or has an `input_signature`.
          input_signature: TensorSpecs of the arguments, for a Python function; their names are
            those of the signature's inputs, else the arguments' own.

        Raises:
          ValueError: the name is taken; there is no signature, or the function was never called.
        """
        if name in self._endpoints:
            raise ValueError(f"Endpoint name '{name}' is already taken.")
        if input_signature is not None:
            made = Function(_taking(fn, len(input_signature)), name, input_signature)
            made.get_concrete_function()
        elif not isinstance(fn, Function):
            raise ValueError(
                "If the `fn` argument provided is not a `tf.function`, you must provide an "
                "`input_signature` argument to specify the shape and dtype of the function "
                "arguments: add_endpoint('serve', model.call, "
                "[tf.TensorSpec((None, 3), tf.float32)])"
            )
        else:
            made = fn
            if made.input_signature is not None:
                made.get_concrete_function()
            elif not made._traces:
                raise ValueError(
                    f"The provided tf.function '{fn!r}' has never been called. Call it once, or "
                    "give `input_signature`, so that the shapes and dtypes of its arguments are "
                    "known"
                )
        self._endpoints[name] = made

    def add_variable_collection(self, name: str, variables: Sequence[Variable]) -> None:
        """Makes Variables an attribute of the loaded object.

        Raises ValueError for members that are no Variables.
        """
        wrong = [v for v in variables if not isinstance(v, Variable)]
        if wrong:
            raise ValueError(
                f"Expected all elements of `variables` to be Variables. Received: {wrong[0]!r}"
            )
        self._collections[name] = list(variables)

    def write_out(self, filepath: Any, options: Any = None) -> None:
        """Writes the folder. Raises ValueError where no endpoint was added."""
        from shardtape.saved_model.saving import write_graphs, write_variables

        if not self._endpoints:
            raise ValueError("No endpoints have been set yet. Call add_endpoint().")
        signatures = {name: _signature(f, name) for name, f in self._endpoints.items()}
        signatures.setdefault("serving_default", next(iter(signatures.values())))
        path = storage.text(filepath).rstrip("/")
        storage.make_directory(path)
        write_variables(self, path)
        write_graphs(self, path, signatures, options, self._endpoints)

    def _trackable_children(self) -> dict[str, Any]:
        return {"_tracked": self.variables, **self._collections}


def export_model(model: Any, filepath: Any) -> None:
    """Writes a model with the endpoint `serve`, its call without training.

    It takes the model's input, or a list of its inputs in their order.

    Raises:
      ValueError: the model was not built, so that its inputs are not known.
    """
    from shardtape.saved_model.keras_export import input_names, input_specs

    archive = ExportArchive()
    archive.track(model)
    specs = input_specs(model)
    if specs is None:
        raise ValueError(
            f"The inputs of {model.name} are not known, so that it cannot be exported: call it on "
            "data first"
        )
    flat = [
        TensorSpec(s.shape, s.dtype, n)
        for s, n in zip(nest.flatten(specs), input_names(model, specs))
    ]

    def serve(inputs: Any) -> Any:
        return model(nest.pack_sequence_as(specs, nest.flatten(inputs)), training=False)

    archive.add_endpoint("serve", _taking(serve, 1, ("args_0",)), [flat if flat[1:] else flat[0]])
    archive.write_out(filepath)


def _taking(
    function: Callable[..., Any], count: int, names: Sequence[str] | None = None
) -> Callable[..., Any]:
    """A function of so many arguments that calls another; their names are the other's own."""
    if names is None:
        parameters = list(inspect.signature(function).parameters.values())
        named = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        names = named[:count] if len(named) >= count else [f"args_{i}" for i in range(count)]

    def endpoint(*arguments: Any) -> Any:
        return function(*arguments)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    return endpoint


def _signature(function: Function, name: str) -> Any:
    """The function of named tensors that gives named tensors, traced."""
    from shardtape.saved_model.keras_export import NamedFunction
    from shardtape.saved_model.saving import named_outputs

    concrete = next(iter(function._traces.values()))
    arguments = dict(concrete.bound_arguments)
    if function.input_signature is not None:  # it has the names
        arguments.update(zip(arguments, function.input_signature))
    named: list[TensorSpec] = []
    for argument, value in arguments.items():
        leaves = [s for s in nest.flatten(value) if isinstance(s, TensorSpec)]
        for i, spec in enumerate(leaves):
            own = argument if len(leaves) == 1 else f"{argument}_{i}"
            named.append(TensorSpec(spec.shape, spec.dtype, spec.name or own))

    def call(*tensors: Any) -> dict[str, Any]:
        given = iter(tensors)
        filled = nest.map_structure(
            lambda s: next(given) if isinstance(s, TensorSpec) else s, arguments
        )
        return named_outputs(function(**filled), name)

    return NamedFunction(call, named).trace()
