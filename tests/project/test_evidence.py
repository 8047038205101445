"""The evidence in docs/security.md: every row names tests that exist and run, or says why there is none."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

import dev

PAGE = (dev.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")

#: What each table has to have: the rows of the standards in question, and the incidents that the library learned from.
ROWS = {"V7": 19, "V6": 35, "elsewhere": 20, "NIST": 33, "incidents": 44}
STANDARDS = [name for name in ROWS if name != "incidents"]

#: Prints the tests of the files that it is given, but those that a mark skips or lets fail.
COLLECT = """
import sys, pytest
class Printed:
    def pytest_collection_finish(self, session):
        marks = {item.nodeid.partition("[")[0]: {mark.name for mark in item.iter_markers()} for item in session.items}
        print("\\n".join(f"runs: {name}" for name in marks if not marks[name] & {"skip", "skipif", "xfail"}))
sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Printed()]))
"""


class Table(NamedTuple):
    """One table of the page, and the sentence that counts its rows."""

    counted: str
    rows: list[list[str]]


def table(name: str) -> Table:
    """The table after a mark `<!-- counts: name -->`, without its two lines of heading."""
    after = PAGE.partition(f"<!-- counts: {name} -->\n")[2]
    head, _, rest = after.partition("|")
    lines = ("|" + rest).partition("\n\n")[0].splitlines()
    return Table(" ".join(head.split()), [cells(line) for line in lines[2:]])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def sentence(rows: list[list[str]]) -> str:
    """What the page says above a table of a standard."""
    whose = Counter(row[3] for row in rows)
    tested = sum(bool(NAMED.search(row[-1])) for row in rows)
    return (
        f"{len(rows)} rows: {whose['default']} by default, {whose['offered']} offered, {whose['yours']} yours. "
        f"{tested} are shown by tests, {len(rows) - tested} say why there is none."
    )


@pytest.mark.parametrize("name", ROWS)
def test_table_is_complete(name: str) -> None:
    """A row that is taken out is missed."""
    assert len(table(name).rows) == ROWS[name]
    assert len({row[0] + row[2] for row in table(name).rows}) == ROWS[name]


@pytest.mark.parametrize("name", STANDARDS)
def test_row_says_whose_it_is_and_what_shows_it(name: str) -> None:
    """By a test, or by a reason."""
    for row in table(name).rows:
        assert len(row) == 6, row
        assert row[3] in ("default", "offered", "yours"), row
        assert NAMED.search(row[5]) or re.match("none: .{10}", row[5]), row


def test_incident_has_a_test_that_is_named_after_it() -> None:
    """After the first number in its row, or after whose it was; the file says every other number too."""
    for _, where, shown_by in table("incidents").rows:
        found = NAMED.findall(shown_by)
        numbers = re.findall(r"CVE-\d+-\d+|GHSA-[\w-]+|OSVDB-\d+", where)
        first = numbers[0] if numbers else where.split()[0].removeprefix("django-").strip(",")
        assert any(slug(first) in test for _, test in found), where
        text = "".join((dev.ROOT / file).read_text(encoding="utf-8") for file, _ in found)
        assert [number for number in numbers if number not in text and slug(number) not in text] == []


def slug(number: str) -> str:
    return number.lower().replace("-", "_")


@pytest.mark.parametrize("name", STANDARDS)
def test_counts_are_right(name: str) -> None:
    """They stand above the table."""
    found = table(name)

    assert found.counted == sentence(found.rows)


def test_every_test_that_is_named_exists_and_runs() -> None:
    """Collected by pytest, and not left out by a mark."""
    named = {f"{file}::{test}" for file, test in NAMED.findall(PAGE)}
    files = sorted({name.partition("::")[0] for name in named})

    assert len(named) > 100
    assert [file for file in files if not (dev.ROOT / file).exists()] == []
    assert sorted(named - running(dev.ROOT, *files)) == []


def running(directory: Path, *files: str) -> set[str]:
    """The tests in these files that pytest would run there."""
    command = [sys.executable, "-c", COLLECT, *files]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return set(re.findall(r"^runs: (\S+)$", done.stdout, re.MULTILINE))


def test_test_that_is_skipped_counts_for_nothing(tmp_path: Path) -> None:
    """Nor does one that is expected to fail; one with parameters does."""
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n"
        "@pytest.mark.skipif(True, reason='x')\ndef test_skipped_here(): pass\n"
        "@pytest.mark.xfail\ndef test_failing(): assert False\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_good(n): pass\n"
    )

    assert running(tmp_path, "test_some.py") == {"test_some.py::test_good"}
