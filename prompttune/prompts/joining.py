"""What can stand in one feature ensemble."""

from typing import Any

from prompttune.utils.errors import InputError


def check_joins(prompt: Any, lead: Any) -> None:
    """Refuse a prompt that cannot stand in one ensemble with another.

    Args:
        prompt: a `Prompt`.
        lead: the `Prompt` that gives palette, canvas and type token.

    Raises:
        InputError: they differ in classes, backbone, canvas, scale or kind.
    """

    def clash(what: str, own: object, other: object, remedy: str) -> InputError:
        names = f"{prompt.name} and {lead.name}"
        return InputError(f"prompts {names}: {what} {own} and {other}; {remedy}")

    own, other = prompt.palette, lead.palette
    if set(own.classes) != set(other.classes):
        listed = ", ".join(own.classes), ", ".join(other.classes)
        raise clash("classes", listed[0], listed[1], "joined prompts share their classes")
    if prompt.fingerprint is not None and lead.fingerprint is not None:
        marks = prompt.fingerprint[:12], lead.fingerprint[:12]
        if prompt.fingerprint != lead.fingerprint:
            raise clash("backbones", marks[0], marks[1], "joined keys share their backbone")
        if own != other:
            raise clash("colours", own.colours, other.colours, "joined keys share their palette")
    if prompt.canvas is not None and lead.canvas is not None and prompt.canvas != lead.canvas:
        raise clash("canvases", prompt.canvas, lead.canvas, "joined keys share their canvas")
    if prompt.grid != lead.grid:
        raise clash("grids", prompt.grid, lead.grid, "give both a scale")
    if prompt.scale != lead.scale:
        raise clash("scales", prompt.scale, lead.scale, "give the examples the key's scale")
    if (prompt.seg_type, prompt.instance_of) != (lead.seg_type, lead.instance_of):
        raise clash("type tokens", prompt.seg_type, lead.seg_type, "join prompts of one kind")
