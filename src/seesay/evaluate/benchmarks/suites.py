"""Benchmarks by name: ``suite("toy, pope(parser=strict)", data=folder)``."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

from seesay.errors import InputError, nearest
from seesay.evaluate.benchmarks.amber import AmberGenerative
from seesay.evaluate.benchmarks.amber_yes_no import AmberDiscriminative
from seesay.evaluate.benchmarks.chair import Chair
from seesay.evaluate.benchmarks.hub import hub_folder, is_hub
from seesay.evaluate.benchmarks.listed import ListedQuestions
from seesay.evaluate.benchmarks.mme import Mme
from seesay.evaluate.benchmarks.pope import SAMPLINGS, SOURCES, Pope
from seesay.evaluate.benchmarks.toy import SPLITS, ToyCaptions, ToyPope

Data = Path | str | Mapping[str, Path | str] | None


@dataclass(frozen=True)
class _Leaf:
    """How one benchmark is made: its class, what its name fixes, and which data it reads."""

    kind: type[ListedQuestions]
    fixed: Mapping[str, Any]

    @property
    def options(self) -> dict[str, str]:
        """What a text may set: name → type as it is written."""
        closed = {*self.fixed, "limit", "similarity", "nouns"}
        return {f.name: str(f.type) for f in fields(self.kind) if f.init and f.name not in closed}


def _leaves() -> dict[str, _Leaf]:
    leaves = {f"toy-captions-{split}": _Leaf(ToyCaptions, {"split": split}) for split in SPLITS}
    for split in SPLITS:
        for sampling in SAMPLINGS:
            fixed = {"sampling": sampling, "split": split}
            leaves[f"toy-pope-{sampling}-{split}"] = _Leaf(ToyPope, fixed)
    leaves["chair"] = _Leaf(Chair, {})
    for source in SOURCES:
        for sampling in SAMPLINGS:
            name = f"pope-{sampling}" if source == "coco" else f"pope-{source}-{sampling}"
            leaves[name] = _Leaf(Pope, {"sampling": sampling, "source": source})
    leaves["amber-generative"] = _Leaf(AmberGenerative, {})
    leaves["amber-discriminative"] = _Leaf(AmberDiscriminative, {})
    leaves["mme"] = _Leaf(Mme, {})
    return leaves


_LEAVES: Final = _leaves()


@dataclass(frozen=True)
class Suite:
    """A name that `suite` understands.

    Attributes:
        name: as written.
        about: one line.
        members: the benchmarks it stands for.
    """

    name: str
    about: str
    members: tuple[str, ...]

    @property
    def needs_data(self) -> bool:
        """Whether a folder must be given."""
        return any("folder" in _LEAVES[member].options for member in self.members)

    @property
    def options(self) -> tuple[str, ...]:
        """What may stand in brackets behind the name."""
        return tuple(dict.fromkeys(o for member in self.members for o in _LEAVES[member].options))


def _suites() -> dict[str, Suite]:
    coco = tuple(f"pope-{sampling}" for sampling in SAMPLINGS)
    groups = {
        "toy": ("drawn scenes: captions and questions, both splits", _named("toy-")),
        "toy-captions": ("drawn scenes: captions, both splits", _named("toy-captions-")),
        "toy-pope": ("drawn scenes: questions, both splits", _named("toy-pope-")),
        "pope": ("POPE on COCO: is there a …?", coco),
        "pope-aokvqa": ("POPE on A-OKVQA", _named("pope-aokvqa-")),
        "pope-gqa": ("POPE on GQA", _named("pope-gqa-")),
        "amber": ("AMBER: descriptions and questions", _named("amber-")),
    }
    suites = {name: Suite(name, about, members) for name, (about, members) in groups.items()}
    alone = {"chair": "CHAIR: captions of COCO images", "mme": "MME's hallucination subset"}
    for name in _LEAVES:
        suites[name] = Suite(name, alone.get(name, "a part of it"), (name,))
    return suites


def _named(prefix: str) -> tuple[str, ...]:
    return tuple(name for name in _LEAVES if name.startswith(prefix))


SUITES: Final[Mapping[str, Suite]] = _suites()
"""Every name that `suite` understands: groups, then single benchmarks."""


def suite(text: str, *, data: Data = None, limit: int | None = None) -> list[ListedQuestions]:
    """The benchmarks that a text names, in its order.

    Args:
        text: names of `SUITES`, separated by commas; options in brackets: "toy,
            pope(parser=lmms-eval), chair(scorer=nltk, size=100)". An option of a group goes to
            those of its members that have it.
        data: a folder (its subfolder `pope`, `chair`, ... if there is one, else itself), "hub" for
            a copy on the Hugging Face Hub (see `hub`), or one of either for each of these names.
            `pope(folder='/a', images='/b')` wins over it.
        limit: only the first so many samples of each benchmark.

    Raises:
        InputError: unknown names (with the nearest), values of a wrong type or out of range, a
            benchmark that is named twice, or one without the folder it needs.
    """
    benchmarks: dict[str, ListedQuestions] = {}
    for name, options in _parse(text):
        for benchmark in _build(name, options, data, limit):
            if benchmark.name in benchmarks:
                raise InputError(f"suite {text!r} names {benchmark.name} twice; name it once")
            benchmarks[benchmark.name] = benchmark
    return list(benchmarks.values())


_QUOTED_OR_HYPHEN: Final = re.compile(r"(\"[^\"]*\"|'[^']*')|(?<=[A-Za-z])-(?=[A-Za-z])")


def _parse(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Suite names with their options."""
    # Hyphens inside names become underscores, so that Python's own grammar reads the rest.
    source = _QUOTED_OR_HYPHEN.sub(lambda match: match.group(1) or "_", text.strip())
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError:
        raise InputError(
            f"suite {text!r} is not of the form 'name(option=value), name'; known suites: "
            + ", ".join(SUITES)
        ) from None
    nodes = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    return [_read(node, text) for node in nodes]


def _read(node: ast.expr, text: str) -> tuple[str, dict[str, Any]]:
    if isinstance(node, ast.Name):
        return _known(node.id), {}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        name = _known(node.func.id)
        return name, {str(k.arg): _value(k, text) for k in node.keywords}
    raise InputError(f"suite {text!r} is not of the form 'name(option=value), name'")


def _known(written: str) -> str:
    name = written.replace("_", "-")
    if name not in SUITES:
        raise InputError(f"unknown suite {name!r}; {nearest(name, SUITES)}")
    return name


def _value(keyword: ast.keyword, text: str) -> Any:
    if isinstance(keyword.value, ast.Name):
        return keyword.value.id  # a bare word is a text: parser=strict
    try:
        return ast.literal_eval(keyword.value)
    except ValueError:
        raise InputError(
            f"suite {text!r}: {keyword.arg}={ast.unparse(keyword.value)} is not a plain value; "
            "give a number, a word, a text in quotes, True or False"
        ) from None


def _build(
    name: str, options: Mapping[str, Any], data: Data, limit: int | None
) -> list[ListedQuestions]:
    chosen = SUITES[name]
    for option in options:
        if option not in chosen.options:
            raise InputError(
                f"{name}: unknown option {option!r}; {nearest(option, chosen.options)}"
            )
    benchmarks = []
    for member in chosen.members:
        leaf = _LEAVES[member]
        given = {o: _checked(name, o, v, leaf) for o, v in options.items() if o in leaf.options}
        if "folder" in leaf.options:
            given["folder"] = _folder(member, given.get("folder", data))
        make: Callable[..., ListedQuestions] = partial(leaf.kind, **leaf.fixed)
        benchmarks.append(make(**given, limit=limit))
    return benchmarks


def _checked(name: str, option: str, value: Any, leaf: _Leaf) -> Any:
    """A value of the option's type; paths are written as texts."""
    wanted = leaf.options[option].removesuffix(" | None")
    kind = {"int": int, "bool": bool}.get(wanted, str)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        nouns = {"int": "a whole number", "bool": "True or False", "Path": "a path"}
        noun = nouns.get(wanted, "a word")
        raise InputError(f"{name}: {option}={value!r} is not {noun}")
    return value


def _folder(member: str, data: Data) -> Path:
    root = member.split("-")[0]
    folder = data.get(root) if isinstance(data, Mapping) else data
    if folder is None:
        raise InputError(
            f"{member} needs a folder with its data: --data FOLDER or --data {root}=FOLDER, or "
            f"{root}(folder='FOLDER')"
        )
    if is_hub(folder):
        return hub_folder(root, folder)
    path = Path(folder).expanduser()
    below = path / root
    return below if not isinstance(data, Mapping) and below.is_dir() else path
