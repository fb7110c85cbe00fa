"""Methods from text: ``parse("agla(alpha=2) + attention-lens")``, the inverse of ``repr``."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import MISSING, fields
from importlib.metadata import entry_points
from typing import Any

from seesay.engine.method import REGISTRY, AnyMethod, Method, Stack
from seesay.errors import MethodError, nearest

PLAIN = "plain"
ENTRY_POINTS = "seesay.methods"

_QUOTED_OR_HYPHEN = re.compile(r"(\"[^\"]*\"|'[^']*')|(?<=[A-Za-z])-(?=[A-Za-z])")


def parse(text: str) -> AnyMethod:
    """The method or sum of methods that `text` names.

    Args:
        text: ``name``, ``name(field=value, ...)`` or several of them joined by ``+``; ``plain`` is
            the model without any method. Class names are understood too.

    Raises:
        MethodError: unknown method or field (with the nearest names), a value that is no literal,
            or text that is not of this form.
    """
    # Hyphens inside names become underscores, so that Python's own grammar reads the rest.
    source = _QUOTED_OR_HYPHEN.sub(lambda match: match.group(1) or "_", text.strip())
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError:
        raise MethodError(
            f"method {text!r} is not of the form 'name(field=value) + name'; known methods: "
            + ", ".join(sorted(REGISTRY))
        ) from None
    return _method(tree, text)


def method_class(name: str) -> type[Method]:
    """The class of a method's name, written with hyphens, underscores or as the class.

    Raises:
        MethodError: unknown; the message names the nearest.
    """
    cls = _registered(name)
    if cls is None:
        load_installed()
        cls = _registered(name)
    if cls is None:
        written = name.replace("_", "-")
        raise MethodError(f"unknown method {written!r}; {nearest(written, [*REGISTRY, PLAIN])}")
    return cls


def load_installed() -> None:
    """Import the methods that other installed packages bring under the entry-point group
    ``seesay.methods``; importing a method's module registers it.

    Raises:
        MethodError: a package whose module cannot be imported.
    """
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except ImportError as error:
            raise MethodError(
                f"the installed method {entry.name!r} ({entry.value}) cannot be imported: {error}; "
                "repair or remove the package that brings it"
            ) from error


def _registered(name: str) -> type[Method] | None:
    return {_key(known): kind for known, kind in REGISTRY.items()}.get(_key(name.strip()))


def _method(node: ast.expr, text: str) -> AnyMethod:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _method(node.left, text) + _method(node.right, text)
    if isinstance(node, ast.Name):
        return _build(node.id, {})
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        # Only a method may stand without a field's name: gate(agla, below=0.9).
        inner = [_method(argument, text) for argument in node.args if _names_method(argument)]
        if len(inner) != len(node.args) or len(inner) > 1:
            raise MethodError(f"method {text!r}: fields go by name, such as alpha=0.4")
        takes = {} if node.func.id == PLAIN else _takes_methods(method_class(node.func.id))
        values = {str(k.arg): _value(k, text, takes.get(str(k.arg), False)) for k in node.keywords}
        return _build(node.func.id, {"method": inner[0], **values} if inner else values)
    raise MethodError(f"method {text!r} is not of the form 'name(field=value) + name'")


def _names_method(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Call)


def _takes_methods(cls: type[Method]) -> dict[str, bool]:
    """Which fields of a method hold a method, by their annotation."""
    return {f.name: "Method" in str(f.type) for f in fields(cls)}  # type: ignore[arg-type]


def _value(keyword: ast.keyword, text: str, method: bool) -> Any:
    if isinstance(keyword.value, ast.Name) and keyword.value.id == "inf":
        return math.inf  # what repr writes; Python's grammar knows no literal for it
    if isinstance(keyword.value, ast.Name) and not method:
        return keyword.value.id.replace("_", "-")  # mode=mark, evidence=self-check
    if _names_method(keyword.value):
        return _method(keyword.value, text)
    try:
        return ast.literal_eval(keyword.value)
    except ValueError:
        raise MethodError(
            f"method {text!r}: {keyword.arg}={ast.unparse(keyword.value)} is not a plain value; "
            "give a number, a text in quotes, a tuple, True, False or None"
        ) from None


def _build(name: str, values: dict[str, Any]) -> AnyMethod:
    if name == PLAIN:
        if values:
            raise MethodError("plain is the model without any method and has no fields")
        return Stack()
    cls = method_class(name)
    _check_fields(cls, values)
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in values]  # type: ignore[arg-type]
    if missing:
        raise MethodError(f"{cls.name}: {missing[0]} is missing, such as {cls.name}(agla)")
    return cls(**values)


def _check_fields(cls: type[Method], values: dict[str, Any]) -> None:
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]  # every method is a dataclass
    for name in values:
        if name not in known:
            raise MethodError(f"{cls.name}: unknown field {name!r}; {nearest(name, known)}")


def _key(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()
