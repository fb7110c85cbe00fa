"""The journal itself; what its three users make of it stands in their tests."""

from __future__ import annotations

import json
import os

import pytest

from seesay.errors import InputError
from seesay.storage.journal import Journal, LineFormat, lock

NOTE = LineFormat("note", lambda line: json.loads(line)["n"], (b'{"n": ',), "name another")


def read(path):
    return [content for content, _ in NOTE.read(path)]


def end_of(path):
    return max((end for _, end in NOTE.read(path)), default=0)


@pytest.mark.parametrize(
    "tail",
    [b'{"n', b"{", b'{"n": 3', b"\0" * 9, b'{"n": \0\0\0', b'{"n": \0\0\0}\n', b"\0\0\0}\n"],
)
def test_half_lines_and_zeros_are_passed_over_and_cut_off(tmp_path, tail):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2}\n' + tail)
    assert read(path) == [1, 2]
    with Journal(path, "note") as journal:
        journal.cut(end_of(path))
        journal.append(b'{"n": 4}\n')
    assert path.read_bytes() == b'{"n": 1}\n{"n": 2}\n{"n": 4}\n'


def test_a_line_end_that_is_missing_is_put_there(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2}')
    with Journal(path, "note") as journal:
        journal.cut(end_of(path))
    assert path.read_bytes() == b'{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("tail", [b"my notes", b"{}\n", b'{"n"\n', b"\n", b'{"n": \0}\n{"n": 1}\n'])
def test_what_no_run_wrote_is_refused_and_left(tmp_path, tail):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n' + tail)
    with pytest.raises(InputError, match=r"line 2 of .*is no note \(.*name another"):
        read(path)


def test_a_file_that_was_not_written_to_goes_away(tmp_path):
    with Journal(tmp_path / "a.jsonl", "note"):
        assert os.listdir(tmp_path) == ["a.jsonl"]
    assert os.listdir(tmp_path) == []
    (tmp_path / "mine").touch()
    with Journal(tmp_path / "mine", "note"):
        pass
    assert os.listdir(tmp_path) == ["mine"]


def test_a_lock_is_for_one(tmp_path):
    pytest.importorskip("fcntl")
    with Journal(tmp_path / "a", "note"):
        with pytest.raises(InputError, match=r"another run is writing .*a; wait for it"):
            Journal(tmp_path / "a", "note")
        with Journal(tmp_path / "a", "note", locked=False):
            pass
    with (tmp_path / "a").open("ab") as file, (tmp_path / "a").open("ab") as other:
        lock(file, "here")
        with pytest.raises(InputError, match="another run is here"):
            lock(other, "here")
