"""Writes op_attributes.json: which attributes ops have in TensorFlow 2.15, and of which tensors.

Not a test: run it by hand in an environment that has TensorFlow 2.15, with a file of the ops'
types as a JSON list.

    python record_op_attributes.py types.json framework/graph/op_attributes.json

Each op has {attribute: place or [kind, default]}, and under "/outputs" the names of its outputs,
with a star behind that of a list, where they are others than ["output"]. A place is "i0" (the type
of input 0), "o0" (of output 0), "i1*0" (a list: of the inputs from 1 to the last but 0) or "#1"
(how many inputs there are but for 1).
"""

import json
import sys

from tensorflow.python.framework import op_def_registry


def _places(definition):
    places = {}
    for letter, args in (("i", definition.input_arg), ("o", definition.output_arg)):
        several = [k for k, a in enumerate(args) if a.number_attr or a.type_list_attr]
        for k, a in enumerate(args):
            at = k - len(args) if several and k > several[0] else k
            if a.type_attr:
                places.setdefault(a.type_attr, f"{letter}{at}")
            if a.type_list_attr:
                places.setdefault(a.type_list_attr, f"{letter}{k}*{len(args) - 1 - k}")
            if a.number_attr and letter == "i":
                places.setdefault(a.number_attr, f"#{len(args) - 1}")
    return places


def _value(value):
    kind = value.WhichOneof("value")
    if kind == "list":
        held = value.list
        return (list(held.i) or list(held.f) or list(held.b) or list(held.type)
                or [s.decode() for s in held.s])  # fmt: skip
    if kind == "s":
        return value.s.decode()
    if kind in ("shape", "tensor", "func"):
        return None
    return getattr(value, kind)


def recorded(types):
    """The attributes of those types that TensorFlow has."""
    out = {}
    for name in types:
        definition = op_def_registry.get(name)
        if definition is None:
            continue
        places = _places(definition)
        entry = {}
        for attr in definition.attr:
            if attr.name in places:
                entry[attr.name] = places[attr.name]
            elif attr.HasField("default_value"):
                entry[attr.name] = [attr.type, _value(attr.default_value)]
            else:
                entry[attr.name] = [attr.type]
        names = [a.name + "*" * bool(a.number_attr or a.type_list_attr)
                 for a in definition.output_arg]  # fmt: skip
        if names != ["output"]:
            entry["/outputs"] = names
        out[name] = entry
    return out


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        found = recorded(json.load(file))
    with open(sys.argv[2], "w") as file:
        short = json.JSONEncoder(separators=(",", ":")).encode
        lines = [f"{short(n)}:{short(e)}" for n, e in found.items()]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
