"""A folder of pictures, described into rows: one JSON object a line, one line a picture.

    describe_folder(seesay.load(), "photos", "out.jsonl", method="attention-lens")

A described picture's row is `Response.to_dict()` with two more keys: `picture`, the path relative
to the folder, and `file`, what the file was: size in bytes, time of change in microseconds, sha256.
A picture that could not be described has a row of schema "seesay.error/1", `picture` and `error`.

Rows come in the order of the folder's sorted paths, each written whole; errors come last, when all
else is done. So a run that goes on with a file only cuts off its end: the errors, which are tried
again, and a line that was only half written. No row is ever written anew, no picture is described
twice and none is lost.
"""

from seesay.runs.folder.describing import FolderRun, FolderWorker, Tally, describe_folder
from seesay.runs.folder.listing import SUFFIXES, Folder
from seesay.runs.folder.rows import ERROR_SCHEMA, Row, RowFile, encoded

__all__ = [
    "ERROR_SCHEMA",
    "SUFFIXES",
    "Folder",
    "FolderRun",
    "FolderWorker",
    "Row",
    "RowFile",
    "Tally",
    "describe_folder",
    "encoded",
]
