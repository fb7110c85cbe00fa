"""Methods from text: ``parse("agla(alpha=2) + attention-lens")``, the inverse of ``repr``."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from typing import Any

from seesay.engine.method import REGISTRY, AnyMethod, Method, Stack
from seesay.errors import MethodError, nearest

PLAIN = "plain"

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


def _method(node: ast.expr, text: str) -> AnyMethod:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _method(node.left, text) + _method(node.right, text)
    if isinstance(node, ast.Name):
        return _build(node.id, {})
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.args:
            raise MethodError(f"method {text!r}: fields go by name, such as alpha=0.4")
        return _build(node.func.id, {str(k.arg): _value(k, text) for k in node.keywords})
    raise MethodError(f"method {text!r} is not of the form 'name(field=value) + name'")


def _value(keyword: ast.keyword, text: str) -> Any:
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
    by_key = {_key(known): cls for known, cls in REGISTRY.items()}
    cls = by_key.get(_key(name))
    if cls is None:
        written = name.replace("_", "-")
        raise MethodError(f"unknown method {written!r}; {nearest(written, [*REGISTRY, PLAIN])}")
    _check_fields(cls, values)
    return cls(**values)


def _check_fields(cls: type[Method], values: dict[str, Any]) -> None:
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]  # every method is a dataclass
    for name in values:
        if name not in known:
            raise MethodError(f"{cls.name}: unknown field {name!r}; {nearest(name, known)}")


def _key(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()
