"""What a piece of Python refers to, and whether it is there, without running it."""

import ast
import builtins
import importlib
import inspect
import symtable
from typing import Any, get_type_hints

from runner import Context, Job, Runner

KINDS: dict[str, Any] = {"runner": Runner, "ctx": Context, "job": Job}
"""What these words are in every guide."""


def statements(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


def compiled(body: list[ast.stmt], place: str, line: int = 0) -> Any:
    """Compile statements, which may await; a traceback names the line of the page."""
    tree = ast.increment_lineno(ast.Module(body, []), line)
    return compile(tree, place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def acts(statement: ast.stmt) -> bool:
    """Whether a statement awaits, or names the runner: somebody serves jobs from here on."""
    awaits = compiled([statement], "guide").co_flags & inspect.CO_COROUTINE
    return bool(awaits) or "runner" in free(ast.unparse(statement))


def defined(source: str) -> set[str]:
    """Give the names that a block binds at its top."""
    table = symtable.symtable(_in_function(source), "guide", "exec").get_children()[0]
    return {each.get_name() for each in table.get_symbols() if each.is_local()}


def free(source: str) -> set[str]:
    """Give the names that a block takes from outside."""
    found: set[str] = set()
    tables = [symtable.symtable(_in_function(source), "guide", "exec").get_children()[0]]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        found |= {
            each.get_name() for each in table.get_symbols() if each.is_global() and each.is_referenced()
        }
    return {name for name in found if not hasattr(builtins, name)}


def _in_function(source: str) -> str:
    """Make a coroutine function of a block, in which `await` and `return` are well-formed."""
    return "async def guide():\n" + "".join(f" {line}\n" for line in source.splitlines()) + " pass\n"


def imported(source: str) -> dict[str, Any]:
    """Do the imports from our own packages, wherever in the block they stand."""
    names: dict[str, Any] = {}
    for node in ast.walk(ast.parse(_in_function(source))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"runner", "jobs"}:
            module = importlib.import_module(node.module or "")
            names |= {each.asname or each.name: getattr(module, each.name) for each in node.names}
    return names


def missing(source: str) -> list[str]:
    """Give the attributes of runner, ctx and job that there are not."""
    found = []
    for node in ast.walk(ast.parse(_in_function(source))):
        if isinstance(node, ast.Attribute):
            kind = _kind(node.value)
            if isinstance(kind, type) and not hasattr(kind, node.attr):
                found.append(f"{ast.unparse(node)}: {kind.__name__} has no {node.attr}")
    return found


def _kind(node: ast.expr) -> Any:
    """Give the class of what an expression stands for; None when that is not known."""
    match node:
        case ast.Name(id=name):
            return KINDS.get(name)
        case ast.Attribute(value=value, attr=attr):
            found = getattr(_kind(value), attr, None)
            if not isinstance(found, property):
                return None
            try:
                return get_type_hints(found.fget).get("return")
            except NameError:
                return None
        case _:
            return None
