"""The command line: `seesay describe photo.jpg` and its siblings.

stdout carries the result and nothing else; progress, notes and errors go to stderr. Exit codes: 0,
1 (could not be done), 2 (bad input or usage), 130 (interrupted).
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import typer

from seesay.cli import (
    audit,
    calibrate,
    demo,
    describe,
    diagnose,
    evaluate,
    info,
    lens,
    options,
    report,
    show,
)
from seesay.cli.output import say
from seesay.errors import SeesayError, UntestedVersionWarning

app = typer.Typer(
    name="seesay",
    help=(
        "Say only what you see: describe pictures with fewer invented objects, and mark the "
        "doubtful words."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "A picture is a file, or toy:broken/7: a drawn scene of the bundled test set (kept or "
        "broken habits, any seed). Start with: seesay demo"
    ),
)
app.command()(describe.describe)
app.command()(describe.ask)
app.command()(describe.compare)
app.command()(audit.audit)
app.command()(show.show)
app.command()(lens.lens)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(calibrate.calibrate)
app.command()(diagnose.diagnose)
app.command()(info.methods)
app.command()(info.doctor)
app.command()(demo.demo)


@app.callback()
def _root(version: options.Version = False) -> None:
    pass


def main() -> None:
    """The console script."""
    sys.excepthook = _unexpected
    warnings.showwarning = _warned
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    options.debug.on = False
    command = typer.main.get_command(app)
    try:
        status = command.main(list(arguments), prog_name="seesay", standalone_mode=False)
    except typer.TyperException as error:
        if error.format_message():  # empty where typer has printed the help
            say(error.format_message())
        return error.exit_code
    except SeesayError as error:
        if options.debug.on:
            traceback.print_exc()
        say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:
        say("interrupted")
    return status if isinstance(status, int) else 0


def _warned(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Our own warnings are one line for the user; those of libraries are left as they are."""
    if issubclass(category, UntestedVersionWarning):
        say(str(message))
    else:
        _WARN(message, category, *where, **more)


_WARN = warnings.showwarning


def _unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A bug in seesay or below it: still one line, unless --debug."""
    if options.debug.on:
        traceback.print_exception(kind, error, trace)
    reason = " ".join(str(error).split())[:300]
    say(f"unexpected {kind.__name__}: {reason}; this is a bug, please report it with --debug")
