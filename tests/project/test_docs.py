"""The pages tell the truth: their Python runs, the files they show are the files there are, their links lead somewhere.

A `python` block is run, after those before it on the same page and in the same namespace, in an empty directory. What
a reader has before opening the page is there: `app`, some WSGI application, and the file session-secret, as README
makes it. A block that cannot run here has `<!-- not run: why -->` on the line before it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import dev
from sessionware import cli
from tests.project.pages import blocks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")

each_page = pytest.mark.parametrize("page", dev.pages(), ids=lambda page: str(page.relative_to(dev.ROOT)))


def run(page: Path, namespace: dict[str, object]) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.not_run is None:
            # Empty lines in front, so that a traceback shows the page's own line.
            # And without what this module imports from __future__, as a reader's module.
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec", dont_inherit=True), namespace)


def hello(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@each_page
def test_the_python_on_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader copies works."""
    monkeypatch.chdir(tmp_path)
    cli.main(["secret", "--file", "session-secret"])

    # Frameworks look up the module that calls them. Its name is not the page's alone, which may be a framework's.
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    run(page, vars(module) | {"app": hello})


@each_page
def test_what_is_not_run_says_why(page: Path) -> None:
    """Leaving a block out needs a reason that a reader of the page's source can judge."""
    without_reason = [block.line for block in blocks(page.read_text(encoding="utf-8")) if block.not_run == ""]

    assert without_reason == []


@each_page
def test_included_files_are_up_to_date(page: Path) -> None:
    """A file shown on a page is shown as it is."""
    text = page.read_text(encoding="utf-8")

    assert len(dev.INCLUDE.findall(text)) == len(re.findall(r"^ *<!-- include", text, re.MULTILINE)), (
        "an include mark looks like <!-- include: examples/minimal.py -->, at the line's start, before a fenced block"
    )
    assert dev.with_includes(text) == text, "run `python3 dev.py docs`"


@each_page
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]

    assert [file for file in files if not (page.parent / file).exists()] == []


@each_page
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    """A link with `#` names a heading of its page, or of another, as GitHub makes anchors of them."""
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    inner = [target.partition("#")[::2] for target in targets if "#" in target and not re.match(r"[a-z]+:", target)]
    pages = {file: page.parent / file if file else page for file, _ in inner if file == "" or file.endswith(".md")}

    assert [(file, anchor) for file, anchor in inner if file in pages and anchor not in anchors(pages[file])] == []


def anchors(page: Path) -> set[str]:
    """What its headings can be linked to by: of several that are the same, the later ones are numbered."""
    text = re.sub(r"^ *(```+).*?^ *\1$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found: Counter[str] = Counter()
    names: set[str] = set()
    for heading in re.findall(r"^#+ +(.+)$", text, re.MULTILINE):
        shown = re.sub(r"\]\([^)]*\)", "", heading).lower()
        name = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


def test_anchors_are_made_as_github_makes_them(tmp_path: Path) -> None:
    """Of the words alone, without signs and links; not of a comment in code."""
    page = tmp_path / "page.md"
    page.write_text("# What's `new`?\n\n## A [link](x.md)\n\n## A link\n\n```console\n# no heading\n```\n")

    assert anchors(page) == {"whats-new", "a-link", "a-link-1"}


@each_page
def test_brackets_are_closed_where_they_were_opened(page: Path) -> None:
    """In each paragraph and row of a table: one that is left open is where a sentence was cut, or a link is broken."""
    assert [line for line in prose(page.read_text(encoding="utf-8")) if line.count("[") != line.count("]")] == []


def test_bracket_that_is_left_open_is_found() -> None:
    """In a paragraph of two lines and in a row; not in code."""
    text = "A [link\nhere](x).\n\nOne [cut\n\n```python\nx = [\n```\n\n| `[` | a |\n| [b | c |\n"

    assert [line for line in prose(text) if line.count("[") != line.count("]")] == ["One [cut", "| [b | c |"]


def prose(text: str) -> list[str]:
    """The paragraphs and the rows of a page, without code."""
    text = re.sub(r"^ *(```+).*?^ *\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(`+)[^`].*?\1", "", text, flags=re.DOTALL)
    return [part.strip() for part in re.split(r"\n\n+|\n(?= *[|*-] ?)", text) if part.strip()]


#: A secret that can be copied from where it stands, or one from the environment, which the next shell does not have.
NO_SECRET = re.compile(
    r"""secret=\\?["'b]|(Middleware|Manager)\((app, )?["']|environ\[\\?["']\w*SECRET|export \w*SECRET="""
)


def test_no_program_to_copy_from_holds_a_secret_or_needs_one_from_the_shell() -> None:
    """Pages, examples and the library's own texts take it from a file, which is there on the next day too."""
    source = [*(dev.ROOT / "src").rglob("*.py"), *(dev.ROOT / "examples").glob("*.py")]
    shown = [path for path in [*dev.pages(), *source] if "testing" not in path.parts]

    assert {path.name for path in shown} >= {"README.md", "deployment.md", "minimal.py", "keyring.py"}
    assert [path.name for path in shown if NO_SECRET.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "text",
    [
        'SessionMiddleware(app, secret="a long random text")',
        'SessionManager("a long random text")',
        'os.environ["SESSION_SECRET"]',
        "$ export SESSION_SECRET=$(python -m sessionware secret)",
    ],
)
def test_secret_to_copy_is_found(text: str) -> None:
    """By the search above."""
    assert NO_SECRET.search(text)


def test_blocks_of_a_page_share_a_namespace_and_fail_at_their_own_line(tmp_path: Path) -> None:
    """A block sees what earlier ones made; one that fails is reported where it stands on the page."""
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\n```\n\n- item\n\n  ```python\n  assert x == 2\n  ```\n")

    with pytest.raises(AssertionError) as failed:
        run(page, {})

    assert (str(failed.traceback[-1].path), failed.traceback[-1].lineno + 1) == (str(page), 10)


def test_a_block_marked_as_not_run_is_left_out(tmp_path: Path) -> None:
    """The mark works also beside an include mark, and other languages are never run."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- include: examples/x.py -->\n<!-- not run: serves for ever -->\n```python\n1 / 0\n```\n"
        "```console\n$ python -c 1/0\n```\n"
    )

    run(page, {})
    assert [block.not_run for block in blocks(page.read_text())] == ["serves for ever"]


def test_refreshing_replaces_what_is_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the block that follows the mark is replaced, byte for byte, even if it was empty."""
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    page = tmp_path / "README.md"
    other = "\n```python\nb\n```\n"
    page.write_text("<!-- include: a.py -->\n```python\n```\n" + other)
    (tmp_path / "a.py").write_text("print('a')\n")

    dev.refresh_includes()

    assert page.read_text() == "<!-- include: a.py -->\n```python\nprint('a')\n```\n" + other
