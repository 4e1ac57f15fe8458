"""Lookup layers in Keras's archives: what they have learned is in a file for each of them."""

from __future__ import annotations

from typing import Any

_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization")


def vocabulary_file(place: str) -> str:
    """Where an archive has the vocabulary of a layer."""
    return f"assets/{place}/vocabulary.txt"


def vocabulary_files(place: str, layer: Any) -> dict[str, str]:
    """The files of a layer's vocabulary: its members, special ones too, one a line.

    Raises TypeError for a layer that has weights of its members, which have no place there, and
    for members of several lines.
    """
    if getattr(layer, "output_mode", None) == "tf_idf":
        raise TypeError(f"the weights of {layer.name!r} have no place in Keras's files")
    if getattr(getattr(layer, "_lookup_layer", layer), "_has_input_vocabulary", False):
        return {}  # the configuration has it
    if not layer.get_vocabulary(include_special_tokens=False):
        return {}
    members = [str(member) for member in layer.get_vocabulary()]
    if any("\n" in member for member in members):
        raise TypeError(f"a member of the vocabulary of {layer.name!r} has several lines")
    text = "\n".join(members)
    places = [place]
    if hasattr(layer, "_lookup_layer"):  # TextVectorization's is a layer of its own
        places.append(f"{place}/_lookup_layer")
    return {vocabulary_file(p): text for p in places}


def take_vocabulary(layer: Any, content: str) -> None:
    """Gives a layer what `vocabulary_files` wrote, or Keras."""
    members = content.split("\n")
    if members != [str(m) for m in layer.get_vocabulary()]:  # as of one that was never adapted
        layer.set_vocabulary(members)


def without_vocabularies(form: Any) -> Any:
    """A configuration in Keras's form, with the vocabularies that lookup layers were given."""
    if isinstance(form, (list, tuple)):
        return [without_vocabularies(part) for part in form]
    if not isinstance(form, dict):
        return form
    made = {key: without_vocabularies(part) for key, part in form.items()}
    if form.get("class_name") in _LOOKUPS and isinstance(made.get("config"), dict):
        config = made["config"]
        members = config.get("vocabulary")
        if members is not None:
            config["vocabulary_size"] = len(members) + _special_places(form["class_name"], config)
        if not config.pop("has_input_vocabulary", True):
            config["vocabulary"] = None
        if form["class_name"] == "StringLookup":
            config.pop("vocabulary_dtype", None)
    return made


def _special_places(class_name: str, config: dict[str, Any]) -> int:
    of_numbers = config.get("output_mode") == "int"
    if class_name == "TextVectorization":
        return 2 if of_numbers else 1
    masked = of_numbers and config.get("mask_token") is not None
    return int(config.get("num_oov_indices", 1)) + masked
