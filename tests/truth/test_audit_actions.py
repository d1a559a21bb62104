"""The audit log's vocabulary is what the code writes: no more, and no less."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

from prbot.audit.vocabulary import ACTIONS
from prbot.core.locks import LockChange

ROOT = Path(__file__).parents[2]
KINDS = {"change.kind": get_args(get_type_hints(LockChange)["kind"])}
"""What an expression within an action's name stands for."""


def written(source: str) -> Iterator[str]:
    """The actions of all entries that a module appends."""
    module = ast.parse(source)
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and is_append(call.func) and len(call.args) > 1:
                    yield from names(call.args[1], function, module)


def is_append(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and called.attr == "append" and ast.unparse(called.value).endswith("audit")


def names(value: ast.expr, function: ast.FunctionDef, module: ast.Module) -> Iterator[str]:
    match value:
        case ast.Constant(str(name)):
            yield name
        case ast.IfExp(_, one, other):
            yield from names(one, function, module)
            yield from names(other, function, module)
        case ast.Name(variable):
            found = [*assigned(variable, function), *passed(variable, function, module)]
            assert found, f"where does {function.name} get {variable} from?"
            for each in found:
                yield from names(each, function, module)
        case ast.JoinedStr([ast.Constant(str(start)), ast.FormattedValue() as part]):
            yield from (f"{start}{kind}" for kind in KINDS[ast.unparse(part.value)])
        case _:
            raise AssertionError(f"an action that a test can't read: {ast.unparse(value)}")


def assigned(variable: str, function: ast.FunctionDef) -> Iterator[ast.expr]:
    for each in ast.walk(function):
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == variable:
            yield each.value


def passed(variable: str, function: ast.FunctionDef, module: ast.Module) -> Iterator[ast.expr]:
    """What the module's own calls give a parameter."""
    parameters = [each.arg for each in function.args.args]
    for call in ast.walk(module) if variable in parameters else ():
        if isinstance(call, ast.Call) and ast.unparse(call.func) == function.name:
            yield call.args[parameters.index(variable)]


def test_the_vocabulary_holds_what_the_code_writes_and_nothing_else() -> None:
    sources = [path.read_text() for path in (ROOT / "prbot").rglob("*.py")]
    assert {name for source in sources for name in written(source)} == set(ACTIONS)


def test_the_page_explains_the_same_actions() -> None:
    page = (ROOT / "docs/audit-log.md").read_text().partition("## Actions")[2]
    assert dict(re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", page, re.MULTILINE)) == dict(ACTIONS)


def test_no_page_speaks_of_an_action_that_there_is_not() -> None:
    families = {name.split(".")[0] for name in ACTIONS}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", page.read_text()):
            assert name in ACTIONS or name.split(".")[0] not in families or is_something_else(name), f"{page}: {name}"


def is_something_else(name: str) -> bool:
    return (ROOT / "prbot/audit" / name).exists() or (ROOT / "prbot" / name).exists()
