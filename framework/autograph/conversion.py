"""Converting functions to code whose control flow works on symbolic tensors.

The source transformation is the `diastatic-malt` library's (AutoGraph, taken out of TensorFlow);
what the transformed code calls is `shardtape.autograph.operators`.

Converted: `if`, `while`, `for`, `break`, `continue`, `return`, conditional expressions, `and`,
`or`, `not`, in functions, methods and lambdas whose source can be read, and in those that they
call. Not converted: generators, `try` around control flow that depends on tensors (it runs, but
errors in a graph do not reach it), `assert`, list operations in loops of the graph, and code
without source (typed into an interpreter).
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import importlib.util
import inspect
import logging
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from typing import Any

from malt import operators as malt_operators
from malt.core import converter
from malt.impl import api
from malt.lang import special_functions
from malt.operators import function_wrappers, py_builtins

from shardtape import source_lines
from shardtape.autograph import operators
from shardtape.context import state

_log = logging.getLogger("shardtape.autograph")

# Code of these packages is not the user's: it is called as it is.
_NOT_CONVERTED = frozenset(
    ("shardtape", "numpy", "malt", "ray", "grpc", "google", "scipy", "sklearn", "pandas",
     "matplotlib", "tensorboard", "pytest", "_pytest")
)  # fmt: skip
_OPTIONS = converter.ConversionOptions(recursive=True, user_requested=True, optional_features=None)
_MARK = "autograph_info__"


class _Transpiler(api.PyToPy):
    """malt's transformation with our operators in the transformed code's `ag__`."""

    _extra_locals: dict[str, Any] | None

    def transform_ast(self, node: Any, ctx: Any) -> Any:
        # malt takes the name in `except E as name` for a node, which Python's trees have as text
        for handler in _handlers(node):
            if handler.name is not None:
                handler.name = ast.copy_location(ast.Name(handler.name, ast.Store()), handler)
        node = super().transform_ast(node, ctx)
        for handler in _handlers(node):
            if isinstance(handler.name, ast.Name):
                handler.name = handler.name.id
        return node

    def get_transformed_name(self, node: Any) -> str:
        return f"tf__{super(api.PyToPy, self).get_transformed_name(node)}"

    def get_extra_locals(self) -> dict[str, Any]:
        if self._extra_locals is None:
            spec = importlib.machinery.ModuleSpec("shardtape_autograph", None)
            module = importlib.util.module_from_spec(spec)
            names = module.__dict__
            names.update(special_functions.__dict__)
            names.update(malt_operators.__dict__)
            names.update(
                ConversionOptions=converter.ConversionOptions,
                STD=converter.STANDARD_OPTIONS,
                Feature=converter.Feature,
                FunctionScope=function_wrappers.FunctionScope,
                with_function_scope=function_wrappers.with_function_scope,
                autograph_artifact=api.autograph_artifact,
                converted_call=converted_call,
            )
            for name in ("if_stmt", "if_exp", "while_stmt", "for_stmt", "and_", "or_", "not_",
                         "eq", "not_eq"):  # fmt: skip
                names[name] = getattr(operators, name)
            self._extra_locals = {"ag__": module}
        return self._extra_locals


def _handlers(nodes: Any) -> Iterator[Any]:
    for root in nodes if isinstance(nodes, (list, tuple)) else [nodes]:
        yield from (n for n in ast.walk(root) if isinstance(n, ast.ExceptHandler))


_transpiler = _Transpiler()
_failed: set[Any] = set()


def convert_now(function: Callable[..., Any]) -> Callable[..., Any]:
    """The converted function; the same one where it cannot be converted (with a warning)."""
    if isinstance(function, functools.partial):
        made = convert_now(function.func)
        if made is function.func:
            return function
        return functools.partial(made, *function.args, **function.keywords)
    if hasattr(function, _MARK) or not _is_users(function):
        return function
    method = _call_method(function)
    if method is not None:
        made = convert_now(method)
        return function if made is method else made
    target = function.__func__ if inspect.ismethod(function) else function
    code = getattr(target, "__code__", None)
    if code is None or code in _failed or inspect.isgeneratorfunction(target):
        return function
    try:
        made, module, source_map = _transpiler.transform(
            target, converter.ProgramContext(options=_OPTIONS)
        )
    except Exception as error:  # noqa: BLE001 - whatever the parser cannot take is left as it is
        _failed.add(code)
        if "lambda" not in getattr(target, "__name__", ""):
            _log.warning(
                "AutoGraph could not transform %r and will run it as-is: `if`, `while` and `for` "
                "on tensors will fail in it. Cause: %s", target, error,
            )  # fmt: skip
        return function
    setattr(made, _MARK, None)
    made.ag_module, made.ag_source_map = module, source_map
    source_lines.register(  # the map names the function's own file, too
        (at.filename, at.lineno, _line(origin))
        for at, origin in source_map.items()
        if at.filename == module.__file__
    )
    if inspect.ismethod(function):
        return made.__get__(function.__self__)
    return made


def _call_method(entity: Any) -> Any:
    """The method that a call of an object runs, where Python code defines it; else None."""
    if inspect.isfunction(entity) or inspect.ismethod(entity) or isinstance(entity, type):
        return None
    call = getattr(type(entity), "__call__", None)  # noqa: B004 - the method itself is wanted
    return types.MethodType(call, entity) if inspect.isfunction(call) else None


def _line(origin: Any) -> source_lines.Line:
    text = (origin.source_code_line or "").strip()
    return source_lines.Line(
        origin.loc.filename, origin.loc.lineno, origin.function_name or "<lambda>", text
    )


def _is_users(function: Any) -> bool:
    module = getattr(function, "__module__", None) or ""
    top = module.partition(".")[0]
    if top in _NOT_CONVERTED or top in sys.stdlib_module_names:
        return top == "__main__"
    return True


def converted_call(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None, caller_fn_scope: Any = None,
    options: Any = None,
) -> Any:  # fmt: skip
    """A call in converted code: users' functions are converted in turn."""
    kwargs = kwargs or {}
    if isinstance(f, functools.partial):
        merged = {**f.keywords, **kwargs}
        return converted_call(f.func, (*f.args, *args), merged, caller_fn_scope, options)
    if f is super and not args:
        return py_builtins.super_in_original_context(f, args, caller_fn_scope)
    if f in (eval, globals, locals):
        original = {
            eval: lambda: py_builtins.eval_in_original_context(f, args, caller_fn_scope),
            globals: lambda: py_builtins.globals_in_original_context(caller_fn_scope),
            locals: lambda: py_builtins.locals_in_original_context(caller_fn_scope),
        }
        return original[f]()
    try:
        overload = operators.overloads().get(f)
    except TypeError:  # what cannot be hashed is no builtin
        overload = None
    if overload is not None:
        return overload(*args, **kwargs)
    if isinstance(f, type):
        return f(*args, **kwargs)
    return convert_now(f)(*args, **kwargs)


def convert_in_graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """The converted function while a function is traced with AutoGraph, else the function."""
    return convert_now(function) if state.autograph else function


def do_not_convert(func: Callable[..., Any] | None = None) -> Any:
    """Decorator: the function is run as it is."""
    if func is None:
        return do_not_convert

    @functools.wraps(func)
    def unconverted(*args: Any, **kwargs: Any) -> Any:
        outer, state.autograph = state.autograph, False
        try:
            return func(*args, **kwargs)
        finally:
            state.autograph = outer

    setattr(unconverted, _MARK, None)
    return unconverted


def to_graph(
    entity: Any, recursive: bool = True, experimental_optional_features: Any = None
) -> Any:
    """The converted function. Raises ValueError where it cannot be converted."""
    made = convert_now(getattr(entity, "python_function", entity))
    if not hasattr(made, "ag_module"):
        raise ValueError(f"cannot convert {entity!r}: its source cannot be read")
    return made


def to_code(entity: Any, recursive: bool = True, experimental_optional_features: Any = None) -> str:
    """The source of the converted function."""
    return textwrap.dedent(inspect.getsource(to_graph(entity)))
