"""The command line as a whole: exit codes, where things are printed, and how it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sessionware
from sessionware import Record
from sessionware.cli import COMMANDS
from sessionware.cli._output import note
from tests.cli.kit import FileSite, command, environment, process, process_without, run

ONE_LINE = r"sessionware: .+\n"

each_command = pytest.mark.parametrize("name", [each.name for each in COMMANDS])


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """As every command says it."""
    assert run(capsys, "--version") == (0, f"sessionware {sessionware.__version__}\n", "")


def test_help_tells_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with what it does."""
    code, out, _ = run(capsys, "--help")

    assert code == 0
    for each in COMMANDS:
        assert re.search(rf"^ +{each.name} +{re.escape(each.summary)}$", out, re.MULTILINE)


@each_command
def test_help_of_a_command_has_examples(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Each on a line, beginning with the program's name."""
    code, out, _ = run(capsys, name, "--help")

    assert code == 0
    assert re.search(rf"^examples:\n(  sessionware {name} ?.*\n)+\Z", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["scret"],
        ["secret", "more"],
        ["secret", "--more"],
        ["--more"],
        ["prune"],
        ["prune", "env:NOT_THERE"],
        ["prune", "{url}", "--namespace", "A/b"],
        ["prune", "{url}", "--name", "a"],
        ["stats", "{url}"],
        ["sessions", "{url}", "{secret}"],
        ["sessions", "{url}", "--user-id", "7"],
        ["sessions", "{url}", "--user-id", ""],
        ["sessions", "{url}", "--user-id", "7", "--username", "ada", "{secret}"],
        ["sessions", "{url}", "--user-id", "7", "--users", "{url}", "{secret}"],
        ["sessions", "{url}", "--id", "7", "{secret}"],
        ["revoke", "{url}", "{secret}"],
        ["revoke", "{url}", "--user-id", "7", "--before", "yesterday", "{secret}"],
        ["revoke", "{url}", "--id", "0" * 32, "--before", "7", "{secret}"],
        ["ddl"],
        ["ddl", "postgresql", "--only", "cookies"],
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], site: FileSite, arguments: list[Any]
) -> None:
    """It says what is wrong, and prints nothing that a program could take for a result."""
    words = [
        word.replace("{url}", site.url).replace("{secret}", f"--secret-file={site.secret_file}") for word in arguments
    ]
    code, out, err = run(capsys, *words)

    assert (code, out) == (2, "")
    assert re.fullmatch(ONE_LINE, err)
    assert "--help" in err


@pytest.mark.parametrize("closed", [1, 2])
def test_output_that_was_closed_is_no_failure(site: FileSite, closed: int) -> None:
    """As a shell does by `>&-`. A database is not opened in its place."""
    done = process("prune", site.url, preexec_fn=lambda: os.close(closed))

    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) is (closed == 2)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["prune", "memory://", "postgresql://ann:hunter2@host/app"], "@host/app"),
        (["prune", "memory://", "postgresql://ann:hun/ter2@host/app"], "@host/app"),
        (["prune", "memory://", "redis://host/0?password=hunter2"], "redis://host/0"),
        (["prune", "memory://", "postgresql://ann:not", "hunter2@host/app"], "postgresql:"),
        (["postgresql://ann:hunter2/ter2@host/app"], "invalid choice"),
        (["redis://host/0?password=hunter2"], "invalid choice"),
        (["stats", "--secret", "hunter2"], "--secret"),
        (["stats", "--secret=hunter2"], "--secret"),
        (["stats", "-phunter2"], "-p"),
        (["prune", "memory://", "other"], "other"),
    ],
)
def test_a_wrong_word_with_a_password_shows_none(
    capsys: pytest.CaptureFixture[str], words: list[str], shown: str
) -> None:
    """A URL that is one too many, for example, or whose password was not escaped, or a secret as an argument."""
    code, _, err = run(capsys, *words)

    assert code == 2
    assert re.fullmatch(ONE_LINE, err)
    assert shown in err
    assert not re.search("hun|ter2", err)


@pytest.mark.parametrize(
    "url", ["sessions.db", "sqlite:////no/such/directory/sessions.db", "file:///no/such/directory", "memory://host"]
)
@pytest.mark.parametrize(
    "words", [["prune"], ["stats", "{secret}"], ["revoke", "--user-id", "7", "{secret}"], ["check"]]
)
def test_no_store_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], site: FileSite, url: str, words: list[str]
) -> None:
    """It says what a URL looks like, or what is wrong with the path, and makes nothing."""
    arguments = [word.replace("{secret}", f"--secret-file={site.secret_file}") for word in words]
    code, _, err = run(capsys, *arguments, url)

    assert code == 1
    assert re.fullmatch(ONE_LINE, err)


def test_the_store_may_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], site: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site's own variable, or any other: what stands in an argument, all users of the machine can see."""
    site.log_in("ada")
    monkeypatch.setenv("OLD_STORE", site.url)
    monkeypatch.setenv("SESSIONWARE_SECRET_FILE", str(site.secret_file))

    assert run(capsys, "stats", "env:OLD_STORE")[0] == 0
    monkeypatch.setenv("SESSIONWARE_STORE", site.url)
    assert re.search(r"live +1\n", run(capsys, "stats")[1])


@pytest.mark.parametrize("name", ["SESSIONWARE_SECRET", "SESSIONWARE_SECRET_FILE"])
def test_the_secret_may_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], site: FileSite, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As the site itself gets it. One that is given counts instead."""
    site.log_in("ada")
    value = site.secret_file if name.endswith("FILE") else site.secret_file.read_text()
    monkeypatch.setenv(name, str(value))

    assert run(capsys, "stats", site.url)[0] == 0
    assert run(capsys, "stats", site.url, *site.other_secret)[0] == 1


def test_limits_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], site: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that the site counts as over is none here either."""
    site.log_in("ada")
    (record,) = site.store.scan()
    monkeypatch.setenv("SESSIONWARE_TIMEOUT_IDLE", "600")
    code, out, _ = run(capsys, "sessions", site.url, "--username", "ada", *site.secret, "--json")

    assert code == 0
    assert f'"expires_at": {record.expires_at - 12 * 3600 + 600}' in out


@pytest.mark.parametrize("content", ["", "too short", None])
def test_a_secret_that_cannot_be_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], site: FileSite, content: str | None
) -> None:
    """The line names the option, and shows nothing of the secret."""
    file = site.directory / "wrong"
    if content is not None:
        file.write_text(content)
    code, out, err = run(capsys, "stats", site.url, "--secret-file", str(file))

    assert (code, out) == (1, "")
    assert re.fullmatch(ONE_LINE, err)
    assert "--secret-file" in err
    assert "SESSIONWARE_SECRET_FILE" not in err
    assert "too short" not in err


def test_it_runs_as_a_module() -> None:
    """As the error about a missing secret tells people to run it."""
    assert len(process("secret").stdout) == 44


def test_ctrl_c_ends_it_without_a_traceback(site: FileSite) -> None:
    """With the exit code that shells expect of a program that was interrupted."""
    fifo = site.directory / "fifo"
    os.mkfifo(fifo)
    started = subprocess.Popen(
        command("stats", site.url, "--secret-file", str(fifo)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with fifo.open("w"):  # it waits for its secret now
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)

    assert started.returncode == 130
    assert (out, err) == ("", "")


def test_a_pipe_that_is_closed_ends_it_without_a_traceback(site: FileSite) -> None:
    """As `| head` closes it."""
    for buffering in ("", "1"):
        read, write = os.pipe()
        os.close(read)
        environ = environment(PYTHONUNBUFFERED=buffering)
        done = process("ddl", "postgresql", capture_output=False, stdout=write, stderr=subprocess.PIPE, env=environ)
        os.close(write)

        assert done.stderr == ""
        assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
@pytest.mark.parametrize("arguments", [["secret"], ["ddl", "postgresql"]])
def test_a_result_that_does_not_fit_is_one_line_and_exit_code_1(arguments: list[str]) -> None:
    """A secret that could not be written must not look like one that was."""
    with Path("/dev/full").open("w") as full:
        done = process(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert done.returncode == 1
    assert re.fullmatch(r"sessionware: .*No space left.*\n", done.stderr)


@pytest.mark.parametrize("name", ["a\nb", "\x1b]0;mine\x07", "\u202egnp.exe", "\u2028"])
@pytest.mark.parametrize("is_there", [True, False])
def test_no_name_makes_a_second_line_or_moves_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, is_there: bool
) -> None:
    """Neither in a result nor in an error: what a terminal would act on is shown as an escape."""
    (tmp_path / name).mkdir()
    file = tmp_path / name / "secret" if is_there else tmp_path / name / "missing" / "secret"
    if is_there:
        file.write_text("x")
    _, out, err = run(capsys, "secret", "--file", str(file))

    assert len((out + err).splitlines()) == 1
    assert (out + err)[:-1].isprintable()


def test_an_error_is_one_line_in_any_encoding(site: FileSite) -> None:
    """Neither a name nor a terminal that knows nothing but ASCII breaks it, and no terminal obeys it."""
    name = "ü\u202e\x1b]0;mine\x07\n"
    arguments = ["sessions", site.url, "--username", name, "--users", site.url, *site.secret]
    done = process(*arguments, env=environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0"))

    assert done.returncode == 1
    assert re.fullmatch(r"sessionware: [ -~]+\n", done.stderr)


def test_what_the_library_warns_of_is_one_line_too(site: FileSite, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, and the result stays what it is."""
    Path(site.directory, "site.db").chmod(0o666)
    done = process("prune", site.url)

    assert (done.returncode, done.stdout) == (0, "0\n")
    assert re.fullmatch(r"sessionware: .*is open to other users.*\n", done.stderr)


def test_nothing_of_databases_is_loaded_unless_it_is_used() -> None:
    """`secret` works at once, and without their packages."""
    program = (
        "import sys, sessionware.cli; print([each for each in ('sqlalchemy', 'redis', 'tqdm') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_namespace_is_looked_after_by_its_path(site: FileSite, capsys: pytest.CaptureFixture[str]) -> None:
    """And one that is not there is an error, and is not made."""
    site.store.namespace("a").namespace("b").create(Record(bytes(16), 1, 10, None, b""))

    assert run(capsys, "prune", site.url, "--namespace", "a/b")[1] == "1\n"
    code, _, err = run(capsys, "prune", site.url, "--namespace", "a/c")
    assert code == 1
    assert "'a/c'" in err
    assert run(capsys, "prune", site.url, "--namespace", "a/c")[0] == 1


def test_an_error_of_several_lines_becomes_one(capsys: pytest.CaptureFixture[str]) -> None:
    """As those of databases are."""
    note("connection failed: \n\tis the server running?")

    assert capsys.readouterr().err == "sessionware: connection failed: is the server running?\n"


@pytest.mark.parametrize(
    ("missing", "url", "advice"),
    [
        ("sqlalchemy", "postgresql://localhost/app", r'pip install "sessionware\[sql\]"'),
        ("psycopg", "postgresql://localhost/app", "pip install .*psycopg"),
        ("pymysql", "mariadb://localhost/app", "pip install .*[Pp]y[Mm]y[Ss][Qq][Ll]"),
        ("MySQLdb", "mariadb+mysqldb://localhost/app", "pip install .*mysqlclient"),
        ("redis", "redis://localhost", r'pip install "sessionware\[redis\]"'),
    ],
)
def test_a_package_that_is_missing_is_one_line(missing: str, url: str, advice: str) -> None:
    """With what installs it."""
    done = process_without(missing, "prune", url)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(ONE_LINE, done.stderr)
    assert re.search(advice, done.stderr)


def test_ddl_needs_no_package() -> None:
    """It may run where a migration is written, and not where the site runs."""
    done = process_without("sqlalchemy", "ddl", "mysql")

    assert (done.returncode, done.stderr) == (0, "")
