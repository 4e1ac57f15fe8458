"""`tf.experimental.ExtensionType`: classes of one's own that are made of tensors.

A subclass declares its fields by annotations. Its values are immutable, have a `TypeSpec` of
their own (`MyType.Spec`), and go as they are through functions, conditions and loops.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from shardtape import nest
from shardtape.experimental.extension_fields import Field, ImmutableDict
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.compare import equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_all
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec, composite_spec

_RESERVED = ("Spec", "self")
_NO_FIELDS = (property, classmethod, staticmethod, functools.cached_property)


def _spec_of(value: Any) -> Any:
    """A field's value with specs in place of tensors."""
    if isinstance(value, Tensor):
        return TensorSpec(value.shape, value.dtype)
    spec = composite_spec(value)
    if spec is not None:
        return spec
    return _mapped(_spec_of, value)


def _mapped(function: Any, value: Any, *others: Any) -> Any:
    """`function` of the members of a tuple or mapping; anything else as it is."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(function(*parts) for parts in zip(value, *others))
    if isinstance(value, Mapping):
        return ImmutableDict(
            (k, function(v, *[other[k] for other in others])) for k, v in value.items()
        )
    return value


def _flat(spec: Any, out: list[Any]) -> list[Any]:
    """The TensorSpecs inside a field's spec, in order."""
    if isinstance(spec, TensorSpec):
        out.append(spec)
    elif isinstance(spec, TypeSpec):
        out.extend(spec._component_specs)
    else:
        _mapped(lambda part: _flat(part, out), spec)
    return out


def _tensors(spec: Any, value: Any, out: list[Any]) -> None:
    if isinstance(spec, TensorSpec):
        out.append(value)
    elif isinstance(spec, TypeSpec):
        out.extend(spec._to_components(value))
    else:
        _mapped(lambda part, inner: _tensors(part, inner, out), spec, value)


def _rebuilt(spec: Any, rest: Any) -> Any:
    if isinstance(spec, TensorSpec):
        return next(rest)
    if isinstance(spec, TypeSpec):
        return spec._from_components([next(rest) for _ in spec._component_specs])
    return _mapped(lambda part: _rebuilt(part, rest), spec)


def _key(spec: Any) -> Any:
    """Something that can be hashed and says the same."""
    if isinstance(spec, Mapping):
        return tuple((k, _key(v)) for k, v in sorted(spec.items()))
    return tuple(map(_key, spec)) if type(spec) is tuple else spec


def _fits(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, TypeSpec):
        return wanted.is_compatible_with(given)
    if type(wanted) is not type(given):
        return False
    if isinstance(wanted, Mapping):
        return set(wanted) == set(given) and all(_fits(wanted[k], given[k]) for k in wanted)
    if type(wanted) is tuple:
        return len(wanted) == len(given) and all(map(_fits, wanted, given))
    return wanted == given


def _widest(a: Any, b: Any) -> Any:
    if isinstance(a, TypeSpec):
        return a.most_specific_compatible_type(b)
    return _mapped(_widest, a, b)


class ExtensionTypeSpec(TypeSpec):
    """Base of the specs of extension types: the fields, with specs in place of tensors."""

    __slots__ = ("_fields",)
    _type: typing.ClassVar[Any] = None
    _open = False  # a constructor of the user's own is at work

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = self._type._signature(defaults=False).bind(*args, **kwargs)
        self._fill(given.arguments)

    def _fill(self, given: Mapping[str, Any]) -> None:
        declared = self._type._declared
        missing = [f.name for f in declared if f.name not in given]
        if missing:
            raise ValueError(f"Missing required fields: {missing} of '{type(self).__qualname__}'")
        self._fields = {f.name: f.spec(given[f.name]) for f in declared}

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_fields":
            object.__setattr__(self, name, value)
        elif self._open and any(f.name == name for f in self._type._declared):
            self._fields[name] = value
        else:
            raise _immutable(name, "ExtensionTypeSpec")

    @classmethod
    def from_value(cls, value: Any) -> ExtensionTypeSpec:
        """The spec of a value of the type."""
        made = object.__new__(cls)
        made._fields = {f.name: _spec_of(vars(value)[f.name]) for f in cls._type._declared}
        return made

    def __getattr__(self, name: str) -> Any:
        fields = {} if name == "_fields" else self._fields
        if name not in fields:
            raise AttributeError(f"'{type(self).__qualname__}' object has no attribute '{name}'")
        return fields[name]

    @property
    def value_type(self) -> type:
        return self._type

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        return tuple(_flat(tuple(self._fields.values()), []))

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        out: list[Any] = []
        for name, spec in self._fields.items():
            _tensors(spec, vars(value)[name], out)
        return tuple(out)

    def _from_components(self, components: Sequence[Any]) -> Any:
        rest = iter(components)
        made = object.__new__(self._type)
        made.__dict__.update((n, _rebuilt(s, rest)) for n, s in self._fields.items())
        return made

    def _serialize(self) -> tuple[Any, ...]:
        return tuple((name, _key(spec)) for name, spec in self._fields.items())

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = spec_or_value if isinstance(spec_or_value, TypeSpec) else composite_spec(
            spec_or_value
        )  # fmt: skip
        return type(other) is type(self) and _fits(
            ImmutableDict(self._fields),
            ImmutableDict(other._fields),  # type: ignore[union-attr]
        )

    def most_specific_compatible_type(self, other: TypeSpec) -> TypeSpec:
        if not self.is_compatible_with(other) and not _same_form(self, other):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        made = object.__new__(type(self))
        made._fields = {n: _widest(s, other._fields[n]) for n, s in self._fields.items()}  # type: ignore
        return made

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={_shown(spec)!r}" for name, spec in self._fields.items())
        return f"{type(self).__qualname__}({inside})"


def _shown(spec: Any) -> Any:
    """With plain dictionaries and tuples, as specs show their mappings."""
    if isinstance(spec, Mapping):
        return {k: _shown(v) for k, v in spec.items()}
    return tuple(map(_shown, spec)) if type(spec) is tuple else spec


def _filling(constructor: Any) -> Any:
    """A constructor of a spec that sets the fields one by one; the spec is closed behind it."""

    @functools.wraps(constructor)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        self._fields = {}
        self.__dict__["_open"] = True
        constructor(self, *args, **kwargs)
        del self.__dict__["_open"]
        self._fill(self._fields)

    return __init__


def _same_form(a: Any, b: Any) -> bool:
    """Whether two specs differ in tensors' shapes at most."""

    def form(spec: Any) -> Any:
        if isinstance(spec, TensorSpec):
            return spec.dtype
        return spec if isinstance(spec, TypeSpec) else _mapped(form, spec)

    return type(a) is type(b) and form(ImmutableDict(a._fields)) == form(ImmutableDict(b._fields))


def _check_members(name: str, namespace: Mapping[str, Any]) -> None:
    """Raises ValueError for reserved names, and for values that no annotation makes fields."""
    annotations = namespace.get("__annotations__", {})
    for field in annotations:
        if field in _RESERVED or field.startswith("_"):
            raise ValueError(
                f"The field name '{field}' of extension type '{name}' is reserved: another "
                "name is needed, without a leading underscore"
            )
    for field, value in namespace.items():
        hidden = field in annotations or (field.startswith("__") and field.endswith("__"))
        if not (hidden or callable(value) or isinstance(value, _NO_FIELDS)):
            raise ValueError(
                f"The field annotations for {name} are invalid. Field {field} is missing a type "
                "annotation."
            )


def _is_forward(hint: Any) -> bool:
    """Whether a name in quotes is part of the annotation."""
    if isinstance(hint, (str, typing.ForwardRef)):
        return True
    return any(_is_forward(part) for part in typing.get_args(hint))


class _Declaring(type):
    """Reads the annotations of a subclass, and closes its values once they are made."""

    def __init__(cls, name: str, bases: Any, namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        cls._fields_read: tuple[Field, ...] | None = None
        if not any(isinstance(base, _Declaring) for base in bases):
            cls._fields_read = ()
            return
        _check_members(name, namespace)
        if not any(_is_forward(hint) for hint in vars(cls).get("__annotations__", {}).values()):
            cls._declared  # noqa: B018 - what is wrong with the fields is told at once
        mixed = (namespace["Spec"],) if "Spec" in namespace else ()
        members: dict[str, Any] = {"_type": cls}
        if mixed and "__init__" in vars(mixed[0]):
            members["__init__"] = _filling(vars(mixed[0])["__init__"])
        base = getattr(cls, "_spec_base", ExtensionTypeSpec)
        spec = type("Spec", (*mixed, base), members)
        spec.__qualname__, spec.__module__ = f"{cls.__qualname__}.Spec", cls.__module__
        cls.Spec = spec

    @property
    def _declared(cls) -> tuple[Field, ...]:
        """The fields; annotations that name later classes are read when they are first needed."""
        if cls._fields_read is None:
            cls._fields_read = cls._read_fields()
        return cls._fields_read

    def _read_fields(cls) -> tuple[Field, ...]:
        hints = typing.get_type_hints(cls, localns={cls.__name__: cls})
        fields = {}
        for kind in reversed(cls.__mro__):
            if isinstance(kind, _Declaring):
                for field in vars(kind).get("__annotations__", {}):
                    if typing.get_origin(hints[field]) is not typing.ClassVar:
                        fields[field] = hints[field]
        return tuple(
            Field(n, kind, vars(cls).get(n, getattr(cls, n, Field.REQUIRED)))
            for n, kind in fields.items()
        )

    def _signature(cls, defaults: bool = True) -> inspect.Signature:
        kinds = inspect.Parameter
        parameters: list[inspect.Parameter] = []
        named = False
        for field in cls._declared:
            # what has no default but follows one that has, as a custom constructor allows
            named = named or (field.required and any(p.default is not p.empty for p in parameters))
            parameters.append(
                kinds(
                    field.name,
                    kinds.KEYWORD_ONLY if named else kinds.POSITIONAL_OR_KEYWORD,
                    default=field.default if defaults and not field.required else kinds.empty,
                )
            )
        return inspect.Signature(parameters)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is ExtensionType:
            raise AssertionError("Cannot create an instance of ExtensionType: define a subclass")
        made: Any = object.__new__(typing.cast(type, cls))
        made.__dict__["_open"] = True
        made.__init__(*args, **kwargs)
        given = vars(made)
        del given["_open"]
        names = [field.name for field in cls._declared]
        missing = [n for n in names if n not in given]
        if missing:
            raise ValueError(f"Missing required fields: {missing} of '{cls.__name__}'")
        extra = [n for n in given if n not in names]
        if extra:
            raise ValueError(f"'{cls.__name__}' has no fields {extra}")
        values = {field.name: field.convert(given[field.name]) for field in cls._declared}
        given.clear()
        given.update(values)
        made.__validate__()
        return made


class ExtensionType(metaclass=_Declaring):
    """Base of classes that are made of tensors.

    Fields are annotated: `tf.Tensor`, composites (ragged, sparse, other extension types), int,
    float, bool, str, bytes, None, `tf.DType`, `tf.TensorShape`, `Tuple[...]`, `Mapping[str, ...]`,
    `Union[...]` and `Optional[...]` of them. Values are converted to what is declared; they
    cannot be changed afterwards. A subclass may define `__init__` and `__validate__`.

    Example:
      >>> class Masked(tf.experimental.ExtensionType):
      ...     values: tf.Tensor
      ...     mask: tf.Tensor
      >>> Masked([1.0, 2.0], [True, False]).mask.dtype
      tf.bool

    Raises TypeError for a value that a field does not take.
    """

    Spec: typing.ClassVar[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = type(self)._signature().bind(*args, **kwargs)
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, value)

    def __validate__(self) -> None:
        """A subclass raises here for fields that do not fit each other."""

    @property
    def _type_spec(self) -> ExtensionTypeSpec:
        return type(self).Spec.from_value(self)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_open" not in vars(self):
            raise _immutable(name)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise _immutable(name)

    def __eq__(self, other: Any) -> Any:
        """bool scalar: the same fields, equal tensors of equal shapes; False for another type."""
        if type(self) is not type(other) or not _same_form(self._type_spec, other._type_spec):
            return False
        found = convert_to_tensor(True)
        pairs = [nest.flatten(x, expand_composites=True) for x in (self, other)]
        for a, b in zip(*pairs):
            if not a.shape.is_compatible_with(b.shape):
                return False
            found = found & reduce_all(equal(a, b))
        return found

    def __ne__(self, other: Any) -> Any:
        found = self == other
        return not found if isinstance(found, bool) else ~found

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        inside = ", ".join(f"{f.name}={vars(self)[f.name]!r}" for f in type(self)._declared)
        return f"{type(self).__qualname__}({inside})"


def _immutable(name: str, kind: str = "ExtensionType") -> AttributeError:
    return AttributeError(
        f"Cannot mutate attribute `{name}` outside the custom constructor of {kind}."
    )


def as_dict(value: ExtensionType) -> dict[str, Any]:
    """The fields of a value by name."""
    return dict(vars(value))
