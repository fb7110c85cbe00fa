"""Judges: models that say whether an answer is right, and what they said, kept to be replayed.

A judge is any callable from a text to a text. Judges change under the same name and cost money, so
every reply is kept in a file: the same question is never asked twice, and a figure can be computed
again, without a network, from the replies that it was made from.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from seesay.errors import InputError, ModelError
from seesay.evaluate.benchmarks.files import PICKLES

_BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})


class Judge(Protocol):
    """Reads a request and answers; `name` says which model it is."""

    name: str

    def __call__(self, request: str, /) -> str: ...


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible chat endpoint (a hosted one, vLLM, llama.cpp, ...).

    Attributes:
        url: up to and with the version, such as "http://localhost:8000/v1".
        model: its name there.
        key_variable: the environment variable with the key; none is sent where it is not set.
        timeout: seconds a request may take.
        attempts: how often a busy or failing server is asked.
        wait: seconds before the second attempt; doubles with each.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    attempts: int = 4
    wait: float = 1.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(
                f"judge {self.url!r} is no web address; give http://... or https://..."
            )

    @property
    def name(self) -> str:
        return self.model

    def __call__(self, request: str, /) -> str:
        """The reply at temperature 0.

        Raises:
            ModelError: no reply after all attempts, a refusal, or one of another form.
        """
        for attempt in range(self.attempts):
            try:
                return self._ask(request)
            except urllib.error.HTTPError as error:
                reason = f"status {error.code}: {error.read(200).decode(errors='replace')}"
                if error.code not in _BUSY:
                    break
            except (OSError, http.client.HTTPException) as error:
                reason = str(getattr(error, "reason", error))
            if attempt + 1 < self.attempts:
                time.sleep(self.wait * 2**attempt)
        raise ModelError(f"the judge {self.model} at {self.url} gave no reply ({reason})")

    def _ask(self, request: str) -> str:
        body = {
            "model": self.model,
            "temperature": 0,
            "messages": [{"role": "user", "content": request}],
        }
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        call = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions",
            data=json.dumps(body).encode(),
            headers=headers,
        )
        with urllib.request.urlopen(call, timeout=self.timeout) as reply:
            content = reply.read()
        try:
            return str(json.loads(content)["choices"][0]["message"]["content"])
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(
                f"the judge at {self.url} answered in another form than a chat endpoint's: "
                f"{content[:200]!r}"
            ) from error


class Replayed:
    """A judge whose replies are kept in a file of JSON lines, and taken from there.

    Args:
        path: the file; created on the first reply. A last line that was cut off is dropped.
        judge: who is asked what the file does not hold; None asks nobody.
        name: the judge's name in the file; by default that of `judge`.
    """

    def __init__(self, path: Path, judge: Judge | None = None, name: str | None = None) -> None:
        if judge is None and name is None:
            raise InputError("replies without a judge need the judge's name, to be told apart")
        if path.suffix in PICKLES:
            raise InputError(f"{path} would be a pickle; name a file of JSON lines (.jsonl)")
        self.name = name or (judge.name if judge else "")
        self._path = path
        self._judge = judge
        self._kept = _read(path)

    def __call__(self, request: str, /) -> str:
        """The reply that was kept, else the judge's, which is kept from now on.

        Raises:
            InputError: the file does not hold it and there is no judge.
            ModelError: what the judge raises.
        """
        key = hashlib.sha256(json.dumps([self.name, request]).encode()).hexdigest()
        if key not in self._kept:
            if self._judge is None:
                raise InputError(
                    f"{self._path} holds no reply of {self.name} to: {request[:80]!r}...; give a "
                    "judge to ask"
                )
            self._keep(key, request, self._judge(request))
        return self._kept[key]

    def _keep(self, key: str, request: str, reply: str) -> None:
        row = {"key": key, "judge": self.name, "request": request, "reply": reply}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._kept[key] = reply


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    kept: dict[str, str] = {}
    content = path.read_text(encoding="utf-8")
    whole = content[: content.rfind("\n") + 1]
    if whole != content:  # the writer was stopped within a line
        path.write_text(whole, encoding="utf-8")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row: Any = json.loads(line)
            kept[str(row["key"])] = str(row["reply"])
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(f"{path}, line {number}: no kept reply ({error!r})") from error
    return kept


AnyJudge = Judge | Callable[[str], str]


def judge_name(judge: AnyJudge) -> str:
    """How a protocol names a judge."""
    name = getattr(judge, "name", None) or getattr(judge, "__qualname__", type(judge).__name__)
    return str(name)
