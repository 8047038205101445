"""dev.py works from anywhere, trusts no half-made environment, and says plainly what it lacks."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dev

DEV = Path(dev.__file__)
CI = DEV.parent / ".ci" / "run"

#: What .ci/run looks for, each under one of its names, besides Chromium.
PROGRAMS = (
    *("nginx", "strace", "sqlite3", "cc", "mariadbd", "redis-server", "pgbouncer", "pg_ctlcluster", "mariadb_config"),
    *("pkg-config", "ps", "apxs"),
)

REQUIREMENTS = '["msgpack>=1.0", "webob>=1.8", "redis>=5.0; extra == \\"redis\\""]'


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def working_python(path: Path) -> Path:
    return script(path, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')


def test_alone_it_shows_its_commands_from_any_directory(tmp_path: Path) -> None:
    """Without a command it prints what there is, and succeeds."""
    shown = subprocess.run([sys.executable, DEV], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert [word for word in ("example", "test", "matrix", "docs") if f"dev.py {word}" not in shown.stdout] == []


def test_an_unknown_command_is_an_error() -> None:
    """A misspelt command does not pass for a success."""
    assert subprocess.run([sys.executable, DEV, "tets"], capture_output=True).returncode == 2


def test_an_old_python_is_told_so() -> None:
    """Any Python 3 can parse the file far enough to read the reason."""
    source = DEV.read_text(encoding="utf-8")
    code = "import sys; sys.version_info = (3, 9, 18, 'final', 0); exec(sys.stdin.read())"

    told = subprocess.run([sys.executable, "-c", code], input=source, capture_output=True, text=True)

    ast.parse(source, feature_version=(3, 6))
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert "needs Python 3.10 or newer" in told.stderr


class Workshop:
    """A project directory in which commands are written down instead of run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[list[str]] = []  # those that have to succeed
        self.calls: list[list[str]] = []  # Python's, whose result is looked at
        self.fails_at: str | None = None
        self.describe("[project]")

    def describe(self, text: str) -> None:
        (self.root / "pyproject.toml").write_text(text)

    def run(self, *command: str | Path, **variables: str) -> None:
        self.commands.append([str(word) for word in command])
        if self.fails_at and self.fails_at in self.commands[-1]:
            raise SystemExit
        if "venv" in self.commands[-1]:
            script(Path(command[-1]) / "bin" / "python", f"#!/bin/sh\necho '{REQUIREMENTS}'\n")
        if "--target" in self.commands[-1]:
            (self.root / ".compiled").mkdir()

    def call(self, *command: str | Path, **variables: str) -> int:
        self.calls.append([str(word) for word in command[2:]])
        return 1 if self.fails_at and self.fails_at in self.calls[-1] else 0

    def ask(self) -> int:
        """Ask for the environment; how many commands did that take?"""
        self.commands.clear()
        dev.environment(self.root / ".venv")
        return len(self.commands)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    workshop = Workshop(tmp_path)
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(dev, "MATRIX", tmp_path / ".venv-matrix")
    monkeypatch.setattr(dev, "COMPILED", tmp_path / ".compiled")
    monkeypatch.setattr(dev, "must_run", workshop.run)
    monkeypatch.setattr(dev, "run", workshop.call)
    return workshop


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_that_cannot_make_environments_is_told_what_to_install(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Debian splits these modules off; the message names the package that has them."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(SystemExit, match="apt-get install python3-venv"):
        workshop.ask()
    assert workshop.commands == []


def test_a_finished_environment_is_used_as_it_is(workshop: Workshop) -> None:
    """The second start runs nothing."""
    assert workshop.ask() > 0
    assert workshop.ask() == 0


@pytest.mark.parametrize("step", ["venv", "pip>=25.1", "--editable"])
def test_an_interrupted_installation_is_made_anew(workshop: Workshop, step: str) -> None:
    """Wherever it stopped, the next start clears what is there."""
    workshop.fails_at = step
    with pytest.raises(SystemExit):
        workshop.ask()

    workshop.fails_at = ""
    assert workshop.ask() > 0
    assert "--clear" in workshop.commands[0]


def test_new_settings_make_a_new_environment_also_if_that_is_interrupted(workshop: Workshop) -> None:
    """The old stamp does not vouch for an environment that was being replaced."""
    workshop.ask()
    workshop.describe("[project]  # with another dependency")
    workshop.fails_at = "--editable"
    with pytest.raises(SystemExit):
        workshop.ask()

    workshop.fails_at = ""
    workshop.describe("[project]")
    assert workshop.ask() > 0


def test_another_python_makes_a_new_environment(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment made by one Python is of no use to another."""
    workshop.ask()
    monkeypatch.setattr(sys, "executable", str(working_python(workshop.root / "python3.99")))

    assert workshop.ask() > 0


def test_the_environment_of_another_place_is_not_trusted(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copied or moved checkout would import the source of the old one."""
    workshop.ask()
    moved = workshop.root.with_name("moved")
    workshop.root.rename(moved)
    monkeypatch.setattr(dev, "ROOT", moved)
    workshop.root = moved

    assert workshop.ask() > 0


@pytest.fixture
def source(workshop: Workshop) -> Path:
    source = workshop.root / "src" / "module.py"
    source.parent.mkdir()
    source.write_text("n = 1")
    return source


def compiles(workshop: Workshop) -> bool:
    """Whether the compiled tests have to compile first. They run without what only the source allows."""
    workshop.commands.clear()
    assert dev.main(["compiled", "-x"]) == 0
    assert workshop.calls[-1] == [*dev.PYTEST, "-m", "not interpreted", "-x"]
    return any("--target" in command for command in workshop.commands)


def test_the_library_is_compiled_when_its_source_has_changed(workshop: Workshop, source: Path) -> None:
    """Else what was compiled before is good enough."""
    assert [compiles(workshop), compiles(workshop)] == [True, False]

    source.write_text("n = 2")
    assert [compiles(workshop), compiles(workshop)] == [True, False]


@pytest.mark.parametrize("step", ["--target", "-c"])
def test_an_interrupted_compilation_is_done_again(workshop: Workshop, source: Path, step: str) -> None:
    """The same for one that left nothing compiled."""
    workshop.fails_at = step
    with pytest.raises(SystemExit):
        compiles(workshop)

    workshop.fails_at = ""
    assert compiles(workshop)


def test_only_interpreters_that_start_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyenv's names on PATH may start nothing; the real ones lie in its versions."""
    shims, pyenv = tmp_path / "shims", tmp_path / "pyenv"
    script(shims / "python3.97", "#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    script(shims / "python3.96", "").chmod(0o644)
    script(shims / "python3.98", "#!/bin/sh\necho cpython 3 9 /usr/bin/python3.9\n")
    script(shims / "python3.99", "#!/bin/sh\necho pypy 3 12 /usr/bin/pypy3\n")
    script(shims / "python3.99-config", "#!/bin/sh\necho cpython 3 95 /not/an/interpreter\n")
    script(pyenv / "versions" / "3.97.1" / "bin" / "python3.97", "#!/bin/sh\necho cpython 3 97 /the/real/one\n")
    monkeypatch.setenv("PATH", os.pathsep.join([str(shims), str(tmp_path / "not there")]))
    monkeypatch.setenv("PYENV_ROOT", str(pyenv))

    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    expected = {here: Path(sys.executable).resolve(), "3.97": Path("/the/real/one")}
    assert {version: path.resolve() for version, path in dev.find_interpreters().items()} == expected


@pytest.mark.parametrize("bad", [None, "check", "--check", "mypy", "pytest"])
def test_every_check_runs_and_one_failure_fails_all(workshop: Workshop, bad: str | None) -> None:
    """A lint error does not hide a failing test, and a passing test does not hide a lint error."""
    workshop.fails_at = bad

    assert dev.main(["test", "--", "-k", "cookie"]) == (1 if bad else 0)
    assert workshop.calls == [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        [*dev.PYTEST, "-k", "cookie"],
    ]


def test_the_matrix_ends_with_the_oldest_dependencies_and_fails_if_one_run_does(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each Python runs the tests; the oldest does so again with each lower bound, extras aside."""
    monkeypatch.setattr(dev, "find_interpreters", lambda: dict.fromkeys(["3.97", "3.98"], Path(sys.executable)))

    assert dev.main(["matrix", "-x"]) == 0
    assert workshop.calls == [[*dev.PYTEST, "-x"]] * 3
    assert workshop.commands[-1][-2:] == ["msgpack==1.0", "webob==1.8"]

    workshop.fails_at = "-x"
    assert dev.main(["matrix", "-x"]) == 1


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """PATH for a machine that has a shell's tools only, and writes down what is asked of apt-get and Python."""
    for tool in ("bash", "dirname", "id", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    log = tmp_path / "log"
    script(tmp_path / "sudo", '#!/bin/sh\nexec "$@"\n')
    script(tmp_path / "apt-get", f'#!/bin/sh\necho "apt-get $*" >> {log}\n')
    script(
        tmp_path / "python3",
        f'#!/bin/sh\n[ "$1" = -c ] || echo "python3 $* $SESSIONWARE_TEST_REQUIRE" >> {log} < "$1"\n',
    )
    return tmp_path


COMPILED = ["cookie", "envelope", "fixtures", "session", "values", "lifetime", "manager"]

#: How the log shows the second run, on the compiled library.
AGAIN = " ".join(
    [
        "python3 dev.py compiled tests/rules tests/auth/test_login.py",
        *(f"tests/unit/test_{name}.py" for name in COMPILED),
        "tests/contrib/test_toy_adapters.py tests/contrib/test_clients.py all",
    ]
)

#: All that it runs, with every prerequisite demanded.
RUNS = ["python3 dev.py test all", "python3 dev.py e2e all", "python3 dev.py servers all", AGAIN]


def ci(machine: Path) -> list[str]:
    subprocess.run([CI], cwd="/", env={"PATH": str(machine)}, check=True)
    return (machine / "log").read_text().splitlines()


def test_ci_installs_what_is_missing_and_lets_nothing_be_skipped(bare_machine: Path) -> None:
    """The tests run last, first those of the README's command, with every prerequisite demanded."""
    assert ci(bare_machine) == [
        "apt-get update",
        "apt-get install --yes chromium nginx strace sqlite3 gcc mariadb-server redis-server pgbouncer postgresql "
        "libmariadb-dev pkg-config procps apache2-bin apache2-dev",
        *RUNS,
    ]


def test_ci_installs_nothing_where_all_is_there(bare_machine: Path) -> None:
    """A prepared machine starts at once."""
    for program in ("chromium-browser", *PROGRAMS):
        script(bare_machine / program, "")

    assert ci(bare_machine) == RUNS


def test_ci_installs_what_virtual_environments_need(bare_machine: Path) -> None:
    """Debian's Python comes without; the message of dev.py is for people, a machine helps itself."""
    for program in ("chromium", *PROGRAMS):
        script(bare_machine / program, "")
    python = bare_machine / "python3"
    lacks = 'case "$2" in *ensurepip* | *Python.h*) exit 1 ;; esac'
    python.write_text(python.read_text().replace("\n", f"\n{lacks}\n", 1))

    assert "apt-get install --yes python3 python3-venv python3-dev" in ci(bare_machine)
