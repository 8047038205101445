"""How results, notes and times are printed: whatever is in a name, it stays one line, and no terminal obeys it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO

from ._command import PROGRAM

_logger = logging.getLogger("sessionware")


def say(text: str) -> None:
    """Print one line of the result."""
    _print(text, sys.stdout)


def say_json(result: object) -> None:
    """Print the result for a program. In ASCII, so that no terminal's encoding matters."""
    _print(json.dumps(result), sys.stdout)


def say_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows, with their columns one below the other."""
    texts = [[harmless(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say_statement(statement: str) -> None:
    """Print one SQL statement, of as many lines as it has."""
    for line in f"{statement};".splitlines():
        say(line)


def note(text: str) -> None:
    """Print one line for people: an error, or what they should know about the result."""
    _print(f"{PROGRAM}: {' '.join(text.split())}", sys.stderr)


def harmless(text: str) -> str:
    """The text, with escapes for what a terminal would act on: control characters, and those that turn the line round.

    Names come from anybody who can register.
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def local_time(seconds: int | None) -> str:
    """A time as people of this machine write it; "-" for none."""
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # no calendar goes that far
        return str(seconds)


@contextmanager
def warnings_as_notes() -> Iterator[Collection[str]]:
    """Print what the library warns of, such as a file that others can read, as notes. Yields what was printed."""
    handler = _Notes(logging.WARNING)
    _logger.addHandler(handler)
    try:
        yield handler.printed
    finally:
        _logger.removeHandler(handler)


@contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """Keep what the library warns of, instead of printing it."""
    kept = _Kept()
    _logger.addFilter(kept)
    try:
        yield kept.texts
    finally:
        _logger.removeFilter(kept)


class _Notes(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.printed.add(record.getMessage())
        note(record.getMessage())


class _Kept(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING and record.getMessage() not in self.texts:
            self.texts.append(record.getMessage())
        return False


def _print(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    line = harmless(text).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(line + "\n")
