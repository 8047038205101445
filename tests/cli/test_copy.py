"""`copy`: moves a site's sessions to another store."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit

import pytest

import dev
from sessionware import Record, SessionManager, open_store
from tests.cli import examples
from tests.cli.kit import FileSite, process, run, run_json
from tests.support.fixed import SECRET

PAGE = dev.ROOT / "docs" / "moving-stores.md"


@pytest.fixture(params=["sqlite:///{}/new.db", "file://{}/new"], ids=["to a database", "to files"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that is not there yet."""
    return str(request.param).format(tmp_path)


def test_sessions_are_copied_in_passes(capsys: pytest.CaptureFixture[str], site: FileSite, new: str) -> None:
    """The last line of each says what was copied and what comes next."""
    site.log_in("ada")
    code, out, err = run(capsys, "copy", site.url, new)

    assert (code, err) == (0, "")
    assert re.search(r"^the root +1 +1 +0 +0 ", out, re.MULTILINE)
    assert re.search(r"^Copied in \d+\.\d s: the root, throttle, tokens\.", out, re.MULTILINE)
    assert "throttle and tokens are the library's own" in out
    assert out.splitlines()[-1].startswith("The copy is not finished. Stop the site, ")

    site.log_in("bob")
    code, out, err = run(capsys, "copy", site.url, new, "--final")
    assert (code, err) == (0, "")
    assert re.search(r"^the root +2 +1 +1 +0 ", out, re.MULTILINE)
    assert out.splitlines()[-1].startswith("The copy is finished. ")
    assert "Accounts are not copied" in out

    moved = SessionManager(SECRET, open_store(new))
    assert [len(moved.of(username=name)) for name in ("ada", "bob")] == [1, 1]


def test_copy_for_programs(capsys: pytest.CaptureFixture[str], site: FileSite, new: str) -> None:
    """What was done in each namespace, whether the copy is finished, and how long it took."""
    site.log_in("ada")
    site.store.namespace("shop").namespace("eu")
    done = run_json(capsys, "copy", site.url, new, "--namespace", "shop", "--namespace", "shop/eu")

    assert {name: type(value) for name, value in done.items()} == {
        "namespaces": list,
        "finished": bool,
        "seconds": float,
    }
    assert done["finished"] is False
    assert [each["namespace"] for each in done["namespaces"]] == [
        *["", "throttle", "tokens", "shop", "shop/throttle", "shop/tokens"],
        *["shop/eu", "shop/eu/throttle", "shop/eu/tokens"],
    ]
    assert done["namespaces"][0] == {
        "namespace": "",
        "read": 1,
        "written": 1,
        "unchanged": 0,
        "expired": 0,
        "unreadable": 0,
        "removed": 0,
        "newer": 0,
    }
    assert run_json(capsys, "copy", site.url, new, "--final")["finished"] is True


def test_check_tells_that_a_copy_is_not_finished(capsys: pytest.CaptureFixture[str], site: FileSite, new: str) -> None:
    """No site may run there yet."""
    run(capsys, "copy", site.url, new)
    assert "copy" in run_json(capsys, "check", new)["warnings"][0]

    run(capsys, "copy", site.url, new, "--final")
    assert run_json(capsys, "check", new)["warnings"] == []


def test_check_tells_of_a_copy_into_a_namespace(capsys: pytest.CaptureFixture[str], site: FileSite, new: str) -> None:
    """Where the site is to run: what is beside it is not concerned."""
    run(capsys, "copy", site.url, new, "--to-namespace", "shop", *site.secret)

    assert "copy" in run_json(capsys, "check", new, "--namespace", "shop")["warnings"][0]
    assert run_json(capsys, "check", new)["warnings"] == []


def test_a_target_in_use_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str
) -> None:
    """Also when the last pass is made once more, after the site has begun to run there."""
    site.log_in("ada")
    run(capsys, "copy", site.url, new, "--final")
    SessionManager(SECRET, open_store(new)).login_cookie("bob")
    code, out, err = run(capsys, "copy", site.url, new, "--final")

    assert (code, out) == (1, "")
    assert re.fullmatch(r"sessionware: .*already.*\n", err)
    assert len(open_store(new).scan()) == 2


def test_nothing_is_made_where_there_is_nothing_to_copy(
    capsys: pytest.CaptureFixture[str], site: FileSite, tmp_path: Path
) -> None:
    """A misspelt path, or a misspelt namespace."""
    for words in ([f"sqlite:///{tmp_path}/typo.db"], [site.url, "--namespace", "typo"]):
        code, out, err = run(capsys, "copy", *words[:1], f"sqlite:///{tmp_path}/new.db", *words[1:])
        assert (code, out) == (1, "")
        assert "typo" in err
    assert not list(tmp_path.glob("new*"))


@pytest.mark.parametrize(
    "words",
    [
        ["{url}"],
        ["{url}", "{url}"],
        ["{url}", "memory://"],
        ["{url}", "{new}", "--namespace", "tokens"],
        ["{url}", "{new}", "--to-namespace", "shop/copy", "--secret-file", "{secret}"],
        ["{url}", "{new}", "--to-namespace", "shop"],
        ["{url}", "{new}", "--to-namespace", "shop", "--namespace", "a", "--namespace", "b"],
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], site: FileSite, tmp_path: Path, words: list[str]
) -> None:
    """Nothing is made."""
    values = {"url": site.url, "new": f"sqlite:///{tmp_path}/new.db", "secret": site.secret_file}
    code, out, err = run(capsys, "copy", *(word.format(**values) for word in words))

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not list(tmp_path.glob("new*"))


def test_sessions_move_into_a_namespace_and_out_of_it(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str, tmp_path: Path
) -> None:
    """They are sealed anew, which takes the secret."""
    _, cookie = site.manager.login_cookie("ada")
    back = f"sqlite:///{tmp_path}/back.db"
    for words in ([site.url, new, "--to-namespace", "shop"], [new, back, "--namespace", "shop", "--to-namespace", "/"]):
        code, _, err = run(capsys, "copy", *words, "--final", *site.secret)
        assert (code, err) == (0, "")

    for store in (open_store(new).namespace("shop"), open_store(back)):
        assert SessionManager(SECRET, store).open(cookie=cookie).session.username == "ada"


def test_a_secret_that_opens_nothing_is_told(capsys: pytest.CaptureFixture[str], site: FileSite, new: str) -> None:
    """It is some other site's."""
    site.log_in("ada")
    code, out, err = run(capsys, "copy", site.url, new, "--to-namespace", "shop", *site.other_secret)

    assert (code, out) == (1, "")
    assert "secret" in err


def test_what_is_not_readable_is_told_and_ends_no_copy(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str
) -> None:
    """Unless it is to be skipped."""
    site.log_in("ada")
    SessionManager(site.other_secret_file.read_text(), site.store).login_cookie("bob")
    words = ["copy", site.url, new, "--to-namespace", "shop", *site.secret, "--final", "--json"]
    code, out, err = run(capsys, *words)

    assert code == 1
    assert json.loads(out)["finished"] is False
    assert re.fullmatch(r"sessionware: warning: 1 records .*\nsessionware: 1 records .*\n", err)
    code, out, err = run(capsys, *words, "--skip-unreadable")
    assert (code, json.loads(out)["finished"]) == (0, True)
    assert err.startswith("sessionware: warning: 1 records")


def test_a_site_that_runs_on_the_target_already_is_told(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str
) -> None:
    """What it did there is undone: the old store wins."""
    _, cookie = site.manager.login_cookie("ada")
    run(capsys, "copy", site.url, new)
    session = SessionManager(SECRET, open_store(new)).open(cookie=cookie).session
    session["theme"] = "dark"
    session.commit()
    code, _, err = run(capsys, "copy", site.url, new)

    assert code == 0
    assert "1 sessions in the root of TO were newer" in err
    assert "theme" not in SessionManager(SECRET, open_store(new)).open(cookie=cookie).session


def test_a_source_that_lost_its_sessions_does_not_empty_the_target(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str
) -> None:
    """Not even the last pass takes them away, unless that is meant."""
    for number in range(20):
        site.log_in(f"user {number}")
    run(capsys, "copy", site.url, new)
    for record in site.store.scan():
        site.store.delete(record.id)
    code, out, err = run(capsys, "copy", site.url, new, "--final")

    assert (code, out) == (1, "")
    assert re.fullmatch(r"sessionware: .*would remove 20 of the first 20 .*--allow-removals\.\n", err)
    assert len(open_store(new).scan()) == 20
    code, _, err = run(capsys, "copy", site.url, new, "--final", "--allow-removals")
    assert (code, err) == (0, "")
    assert open_store(new).scan() == []


def test_a_pass_from_another_store_is_refused(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the one that a relative path names in another directory. The same one may be named in another way."""
    site.log_in("ada")
    (tmp_path / "elsewhere").mkdir()
    other = open_store(f"sqlite:///{tmp_path}/elsewhere/site.db")
    for directory, words, expected in [
        (tmp_path, ["sqlite:///site.db"], 0),
        (tmp_path / "elsewhere", ["sqlite:///site.db"], 1),
        (tmp_path / "elsewhere", [f"sqlite:///{tmp_path}/elsewhere/../site.db"], 0),
    ]:
        monkeypatch.chdir(directory)
        code, _, err = run(capsys, "copy", *words, new)
        assert code == expected
        assert bool(re.fullmatch(rf"sessionware: .*{tmp_path}/site\.db.*--same-source\.\n", err)) is bool(code)
    assert len(open_store(new).scan()) == 1
    other.create(site.store.scan()[0])
    assert run(capsys, "copy", "sqlite:///site.db", new, "--same-source")[0] == 0
    assert run(capsys, "copy", "sqlite:///site.db", new, "--final")[0] == 0


def test_a_pass_that_forgets_the_namespace_is_refused(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str
) -> None:
    """It would put the root's sessions in the place of those that the passes before have copied."""
    SessionManager(SECRET, site.store.namespace("shop")).login_cookie("ada")
    site.log_in("bob")
    words = ["copy", site.url, new, "--to-namespace", "shop2", *site.secret]
    assert run(capsys, *words, "--namespace", "shop")[0] == 0
    code, out, err = run(capsys, *words, "--final")

    assert (code, out) == (1, "")
    assert re.fullmatch(r"sessionware: .*namespace shop .*--namespace.*\n", err)
    assert len(SessionManager(SECRET, open_store(new).namespace("shop2")).of(username="ada")) == 1
    assert run(capsys, *words, "--namespace", "shop", "--final")[0] == 0


def test_a_clock_that_is_ahead_is_told(
    capsys: pytest.CaptureFixture[str], site: FileSite, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is copied by it, because everything has expired."""
    site.log_in("ada")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10**9)
    _, _, err = run(capsys, "copy", site.url, new)

    assert re.fullmatch(r"sessionware: warning: all 1 sessions in the root of FROM .*clock, 20\d\d-.*\n", err)


def test_a_copy_is_abandoned(capsys: pytest.CaptureFixture[str], site: FileSite, new: str) -> None:
    """Because a site runs on the target and is to stay there: it goes on with what it has."""
    site.log_in("ada")
    run(capsys, "copy", site.url, new)
    SessionManager(SECRET, open_store(new)).login_cookie("bob")
    code, out, err = run(capsys, "copy", site.url, new, "--abandon")

    assert (code, out.count("\n"), err) == (0, 1, "")
    assert len(open_store(new).scan()) == 2
    assert run_json(capsys, "check", new)["warnings"] == []
    assert run(capsys, "copy", site.url, new)[0] == 1
    code, out, err = run(capsys, "copy", site.url, new, "--abandon")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_check_takes_nothing_else_for_a_copy(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """An application may have a namespace of that name."""
    site.store.namespace("copy").create(Record(bytes(16), 1, 2**40, None, b""))

    assert run_json(capsys, "check", site.url)["warnings"] == []


def test_a_disk_that_is_full_is_one_line_with_what_to_do(site: FileSite, tmp_path: Path) -> None:
    """What was copied stays, and the same command does the rest."""
    new = f"sqlite:///{tmp_path}/new.db"
    for number in range(200):
        site.store.create(Record(number.to_bytes(16, "big"), 1, 2**40, None, bytes(4000)))
    done = process("copy", site.url, new, preexec_fn=lambda: setrlimit(RLIMIT_FSIZE, (300_000, 300_000)))

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"sessionware: .*[^.]\. What was copied stays: give the same command again\.\n", done.stderr)
    kept = len(open_store(new).scan())
    assert 0 < kept < 200
    done = process("copy", site.url, new, "--final", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["namespaces"][0]["written"] == 200 - kept


BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_examples_of_the_page_work(block: str, tmp_path: Path) -> None:
    """Each by itself, with files instead of a server."""
    old, new = f"sqlite:///{tmp_path}/sessions.db", f"sqlite:///{tmp_path}/new.db"
    examples.make_site(tmp_path, old)
    open_store(old).namespace("shop").namespace("eu")
    places = {"postgresql://mysite@localhost/sessions": new, "/var/lib/shop": str(tmp_path), "/etc/shop": str(tmp_path)}
    done = examples.run(re.sub(r"^\$ ", "", block, flags=re.MULTILINE), tmp_path, places)

    assert done.returncode == 0, done.stderr
    assert ("The copy is finished. " in done.stdout) is ("--final" in block)
