#!/usr/bin/env python3
"""Everything a developer runs. Needs Python 3.10 or newer and git, nothing else.

    python3 dev.py example [--port N]     serve the example site on this machine
    python3 dev.py test [PYTEST ARGS]     every check, and every test that needs no browser and no web server
    python3 dev.py e2e [PYTEST ARGS]      the tests in browsers and on real web servers, which take longer
    python3 dev.py compiled [PYTEST ARGS] the tests once more, on the compiled library; needs a C compiler
    python3 dev.py matrix [PYTEST ARGS]   the tests under each Python found here, and with the oldest dependencies
    python3 dev.py fuzz [COUNT [SEED]]    damaged cookies, rows and forms, a million of them
    python3 dev.py passwords [COUNTS]     good passwords, of which none may be refused, by the hundred thousand
    python3 dev.py hammer [OPTIONS]       real servers under load, whose processes are killed all the time
    python3 dev.py outages [OPTIONS]      database servers that are killed and paused under load, measured
    python3 dev.py crash [OPTIONS]        stores whose process is killed at every file-system call
    python3 dev.py servers [PYTEST ARGS]  the stores on database servers, with each engine, driver and isolation level
    python3 dev.py peers [NAME ...]       the frameworks' own tests, run on the adapters
    python3 dev.py bench [OPTIONS]        measure, side by side with other libraries; --quick for a look
    python3 dev.py docs                   bring what the pages show up to date: example files, tables

The first run makes a virtual environment in .venv; later ones reuse it until pyproject.toml or the Python changes.
"""

import sys

# First of all, and in words that any Python 3 can parse: an old one shall say what is wrong instead of a SyntaxError.
if sys.version_info < (3, 10):
    sys.exit("This needs Python 3.10 or newer; {} is {}.{}.".format(sys.executable, *sys.version_info))

import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
MATRIX = ROOT / ".venv-matrix"
BENCH = ROOT / ".venv-bench"
PEERS = ROOT / ".venv-peers"
COMPILED = ROOT / ".compiled"

#: With a worker for each processor. A file's tests stay together, because they share browsers and servers.
PYTEST = ["pytest", "-n", "auto", "--dist", "loadfile"]

#: What is tested from one end to the other, by browsers and on web servers.
E2E = "tests/e2e"

#: For pip: compile, and leave nothing of it among the source, where it would be imported in its place.
COMPILING = {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1", "HATCH_BUILD_CLEAN_HOOKS_AFTER": "1"}

IS_COMPILED = "import sys, sessionware._core.transaction as part; sys.exit(part.__file__.endswith('.py'))"

NO_VENV = """{python} cannot make virtual environments: its module {module} is missing.
On Debian and Ubuntu: apt-get install python3-venv. Elsewhere: install a complete Python 3.10 or newer."""

# An include mark, perhaps other comments, the opening fence; what it holds; the closing fence.
INCLUDE = re.compile(
    r"(?P<head>^<!-- include: (?P<path>\S+) -->\n(?:<!--[^\n]*-->\n)*(?P<fence>```+)\w*\n).*?^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


def main(arguments: list[str]) -> int:
    commands = {
        "example": example,
        "test": test,
        "e2e": e2e,
        "compiled": compiled,
        "matrix": matrix,
        "fuzz": fuzz,
        "passwords": passwords,
        "hammer": hammer,
        "outages": outages,
        "crash": crash,
        "servers": servers,
        "peers": peers,
        "bench": bench,
        "docs": docs,
    }
    name, *rest = arguments or ["help"]
    if name not in commands:
        print((__doc__ or "").strip())
        return 0 if name in ("help", "-h", "--help") else 2
    return commands[name](rest[1:] if rest[:1] == ["--"] else rest)


def example(arguments: list[str]) -> int:
    """Serve the example site. It takes this process's place, so that what stops one stops the other."""
    python = environment(VENV)
    os.execv(python, [str(python), str(ROOT / "examples" / "notes_app.py"), *arguments])


def test(arguments: list[str]) -> int:
    """Run every check, also after one has failed, and say at the end which did.

    Without words for pytest, what `e2e` runs is left out: nobody runs before each commit what takes minutes.
    """
    python = environment(VENV)
    arguments = arguments or [f"--ignore={E2E}"]
    steps = {
        "lint": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        "types": ["mypy"],
        "tests": [*PYTEST, *arguments],
    }
    failed = [name for name, command in steps.items() if run(python, "-m", *command) != 0]
    print(f"FAILED: {', '.join(failed)}" if failed else "All checks and tests passed.")
    return 1 if failed else 0


def e2e(arguments: list[str]) -> int:
    """Run the tests in browsers and on real web servers."""
    return run(environment(VENV), "-m", *PYTEST, E2E, *arguments)


def compiled(arguments: list[str]) -> int:
    """Run the tests on the compiled library, but those that put something else in the place of its parts."""
    python = environment(VENV)
    return run(python, "-m", *PYTEST, "-m", "not interpreted", *arguments, PYTHONPATH=str(compiled_library(python)))


def matrix(arguments: list[str]) -> int:
    """Run the tests under each Python, then once more under the oldest with the oldest dependencies."""
    interpreters = find_interpreters()
    runs = {version: environment(MATRIX / version, python) for version, python in interpreters.items()}
    oldest = next(iter(interpreters))
    runs[f"{oldest}, oldest dependencies"] = environment(MATRIX / "oldest", interpreters[oldest], oldest=True)
    results = {name: run(python, "-m", *PYTEST, *arguments) for name, python in runs.items()}
    for name, status in results.items():
        print(f"{'passed' if status == 0 else 'FAILED'}  Python {name}")
    return 1 if any(results.values()) else 0


def fuzz(arguments: list[str]) -> int:
    """The long version of tests/long/test_fuzz.py."""
    return run(environment(VENV), "-m", "tests.long.fuzz", *arguments)


def passwords(arguments: list[str]) -> int:
    """The long version of two tests in tests/auth/test_policy.py."""
    return run(environment(VENV), "-m", "tests.long.passwords", *arguments)


def hammer(arguments: list[str]) -> int:
    """The long version of tests/long/test_hammer.py."""
    return run(environment(VENV), "-m", "tests.long.hammer", *arguments)


def outages(arguments: list[str]) -> int:
    """The long version of tests/long/test_outages.py."""
    return run(environment(VENV), "-m", "tests.long.outages", *arguments)


def crash(arguments: list[str]) -> int:
    """The long version of tests/long/test_crash.py."""
    return run(environment(VENV), "-m", "tests.long.crash", *arguments)


def servers(arguments: list[str]) -> int:
    """Run the whole matrix of tests/servers, of which the default run takes one driver per engine."""
    arguments = arguments or ["tests/servers"]
    return run(environment(VENV), "-m", *PYTEST, *arguments, SESSIONWARE_TEST_SERVERS="all")


def peers(arguments: list[str]) -> int:
    """Run the frameworks' own tests, from their released sources, on the adapters."""
    python = environment(PEERS, peers=ROOT / "tests" / "peers" / "requirements.txt")
    return run(python, "-m", "tests.peers", *arguments)


def bench(arguments: list[str]) -> int:
    """Measure the compiled library. The peers have an environment of their own, never the project's."""
    python = environment(BENCH, peers=ROOT / "benchmarks" / "requirements.txt")
    return run(python, "-m", "benchmarks.run", *arguments, PYTHONPATH=str(compiled_library(python)))


def orders(arguments: list[str]) -> int:
    """Run every pair of acts in every order, in every context. Takes about half an hour on two processors."""
    return run(environment(VENV), "-m", "sessionware.testing", "--all", *arguments)


def docs(arguments: list[str]) -> int:
    """Bring README.md and docs/ up to date: the files that they include, then the tables, which take a minute."""
    refresh_includes()
    return run(environment(VENV), "-m", "tests.rules.interleavings", *arguments)


def refresh_includes() -> None:
    """Bring every included file in README.md and docs/ up to date."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        fresh = with_includes(text)
        if fresh != text:
            page.write_text(fresh, encoding="utf-8")
            print(f"updated {page.relative_to(ROOT)}")


# ---- pages ---------------------------------------------------------------------------------------------------------


def pages() -> list[Path]:
    """README.md and everything under docs/."""
    return [page for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))] if page.exists()]


def with_includes(text: str) -> str:
    """The page, with the block after each `<!-- include: path -->` replaced by what that file holds."""

    def filled(block: re.Match[str]) -> str:
        return block["head"] + (ROOT / block["path"]).read_text(encoding="utf-8") + block["fence"]

    return INCLUDE.sub(filled, text)


# ---- virtual environments ------------------------------------------------------------------------------------------


def environment(directory: Path, base: Path | None = None, *, oldest: bool = False, peers: Path | None = None) -> Path:
    """The Python of a virtual environment that holds the package and its tools; makes it unless it is up to date.

    With `peers`, a file of requirements, it holds the package and those instead of the tools.

    A stamp is written when all is installed. Without it, or with another one, the environment is made anew: whatever
    an interrupted run left behind is not trusted.
    """
    base = base or Path(sys.executable).resolve()  # not the link in an environment that may be about to be cleared
    python = directory / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = directory / "stamp"
    wanted = fingerprint(base, *([peers] if peers else []))
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    check_venv_support()
    stamp.unlink(missing_ok=True)
    print(f"Making {directory.relative_to(ROOT)}. This happens once and may take a minute.", flush=True)
    must_run(base, "-m", "venv", "--clear", directory)
    install(python, peers)
    if oldest:
        install_oldest(python)
    stamp.write_text(wanted)
    return python


def fingerprint(base: Path, *requirements: Path) -> str:
    """Changes with whatever makes an environment stale: its place, its Python, what is to be installed."""
    files = [ROOT / "pyproject.toml", *requirements]
    parts = [str(ROOT), str(base), *(file.read_text(encoding="utf-8") for file in files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def install(python: Path, peers: Path | None) -> None:
    # pip 25.1 is the first to know dependency groups; what comes with Python 3.13 and older does not.
    must_run(python, "-m", "pip", "install", "--quiet", "pip>=25.1")
    wanted = ["--requirement", peers] if peers else ["--group", "dev"]
    must_run(python, "-m", "pip", "install", "--quiet", "--editable", ".", *wanted)


def install_oldest(python: Path) -> None:
    """Replace each runtime dependency by the oldest release that pyproject.toml allows."""
    code = "import importlib.metadata, json; print(json.dumps(importlib.metadata.requires('sessionware')))"
    requirements = json.loads(subprocess.check_output([python, "-c", code]))
    oldest = [requirement.replace(">=", "==") for requirement in requirements if ";" not in requirement]
    must_run(python, "-m", "pip", "install", "--quiet", *oldest)


def compiled_library(python: Path) -> Path:
    """A directory with the package compiled for this Python, for PYTHONPATH; makes it unless it is up to date."""
    stamp = COMPILED / "stamp"
    base = python.resolve()  # environments of one Python share it
    wanted = fingerprint(base, *sorted((ROOT / "src").rglob("*.py")))
    if not (stamp.exists() and stamp.read_text() == wanted):
        print(f"Compiling into {COMPILED.relative_to(ROOT)}. This takes a minute.", flush=True)
        shutil.rmtree(COMPILED, ignore_errors=True)
        must_run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", COMPILED, ROOT, **COMPILING)
        must_run(python, "-c", IS_COMPILED, PYTHONPATH=str(COMPILED))
        stamp.write_text(wanted)
    return COMPILED


def check_venv_support() -> None:
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            sys.exit(NO_VENV.format(python=sys.executable, module=module))


def run(*command: str | Path, **variables: str) -> int:
    print("$", shlex.join(map(str, command)), flush=True)
    return subprocess.call(command, cwd=ROOT, env={**os.environ, **variables})


def must_run(*command: str | Path, **variables: str) -> None:
    status = subprocess.call(command, cwd=ROOT, env={**os.environ, **variables})
    if status != 0:
        sys.exit(f"This failed: {shlex.join(map(str, command))}")


# ---- interpreters --------------------------------------------------------------------------------------------------


def find_interpreters() -> dict[str, Path]:
    """One CPython for each supported minor version on this machine, oldest first."""
    found: dict[tuple[int, int], Path] = {}
    for candidate in candidates():
        interpreter = probe(candidate)
        if interpreter is not None:
            found.setdefault(*interpreter)
    return {f"{major}.{minor}": found[major, minor] for major, minor in sorted(found)}


def candidates() -> Iterator[Path]:
    """This interpreter, then those on PATH, then pyenv's: its names on PATH start only what is switched on."""
    yield Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for directory in [*map(Path, os.get_exec_path()), *pyenv.glob("versions/*/bin")]:
        yield from (path for path in directory.glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name))


def probe(python: Path) -> tuple[tuple[int, int], Path] | None:
    """Version and true path of a CPython that starts, is new enough and can make environments; else None."""
    code = "import sys, venv, ensurepip; print(sys.implementation.name, *sys.version_info[:2], sys.executable)"
    try:
        answer = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"cpython (\d+) (\d+) (.+)\n", answer.stdout)
    if match is None or (int(match[1]), int(match[2])) < (3, 10):
        return None
    return (int(match[1]), int(match[2])), Path(match[3]).resolve()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
