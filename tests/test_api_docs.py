"""Whatever docs/api.md shows says what goes in, what comes out, and what it refuses."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
SHOWN = re.findall(r"^::: (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for path in SHOWN:
        module, _, name = path.rpartition(".")
        shown = getattr(import_module(module), name)
        if not inspect.isclass(shown):
            yield path, shown
            continue
        for own, member in vars(shown).items():
            if isinstance(member, classmethod | staticmethod):
                member = member.__func__
            if inspect.isfunction(member) and not own.startswith("_"):
                yield f"{path}.{own}", member


FUNCTIONS = dict(functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_told_whole(name: str) -> None:
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    marks = {inspect.Parameter.VAR_POSITIONAL: r"\*", inspect.Parameter.VAR_KEYWORD: r"\*\*"}
    taken = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    for each in taken:
        listed = rf"^    {marks.get(each.kind, '')}{each.name}: \S"
        assert re.search(listed, doc, re.MULTILINE), f"{name}: {each.name} is not told of"
    if taken and signature.return_annotation not in (None, "None", signature.empty):
        # Where the first sentence ends in it, `Segmenter.to` gives itself.
        says = "Returns:" in doc or "Yields:" in doc or "return this segmenter" in doc
        assert says, f"{name}: what it returns is not told"
    if raises_input_errors(function):
        assert "Raises:" in doc, f"{name}: what it refuses is not told"
    assert re.match(r"[A-Z].*[.:]$", doc.splitlines()[0]), f"{name}: begins with no sentence"


def raises_input_errors(function: Callable[..., Any]) -> bool:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise))
    return any(
        isinstance(exc, ast.Call) and ast.unparse(exc.func) == "InputError" for exc in raised
    )


@pytest.mark.parametrize("path", SHOWN)
def test_a_class_tells_of_its_fields(path: str) -> None:
    """Of a dataclass each field has a docstring below it; that is what the page shows."""
    module, _, name = path.rpartition(".")
    shown = getattr(import_module(module), name)
    assert (inspect.getdoc(shown) or "").strip()
    if not inspect.isclass(shown) or not hasattr(shown, "__dataclass_fields__"):
        return
    body = ast.parse(textwrap.dedent(inspect.getsource(shown))).body[0].body  # type: ignore[attr-defined]
    for before, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
            if before.target.id == "prompts" and name == "Composition":
                continue  # its class says what they are
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert told, f"{path}.{before.target.id} is not told of"
