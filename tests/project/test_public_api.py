"""What `import sessionware` offers, and what it does not drag in."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import dev
import sessionware
import sessionware.auth
import sessionware.testing

PYPROJECT = (dev.ROOT / "pyproject.toml").read_text(encoding="utf-8")
PACKAGES = [sessionware, sessionware.auth, sessionware.testing]

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
each_name = pytest.mark.parametrize(
    ("package", "name"), [pytest.param(package, name, id=name) for package in PACKAGES for name in package.__all__]
)


@each_package
def test_the_public_names_are_sorted_and_unique(package: Any) -> None:
    """A sorted list shows at a glance what is there, and merges without conflicts: constants, classes, functions."""
    assert package.__all__ == sorted(set(package.__all__), key=lambda name: (not name.isupper(), name))


@each_package
def test_nothing_public_is_left_out_of_the_list(package: Any) -> None:
    """What can be reached without an underscore is meant to be, so it is in `__all__`."""
    reachable = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }

    assert reachable <= set(package.__all__)


@each_name
def test_every_public_name_is_importable_and_says_what_it_is(package: Any, name: str) -> None:
    """Each name leads to something, with a docstring of its own."""
    assert own_docstring(name, getattr(package, name)), f"{name} has no docstring"


def own_docstring(name: str, thing: object) -> str | None:
    """Not an inherited one, nor the signature that a dataclass or a NamedTuple writes in its place.

    Of a plain value, it is the text under the line that makes it.
    """
    if inspect.isclass(thing):
        text = vars(thing).get("__doc__")
        return None if text and text.startswith(f"{thing.__name__}(") else text
    if inspect.isfunction(thing):
        return thing.__doc__
    if type(thing).__module__.startswith("sessionware."):
        return own_docstring(type(thing).__name__, type(thing))
    return ASSIGNED.get(name)


def texts_under_assignments() -> Iterator[tuple[str, str]]:
    """The names that the library's modules assign, each with the text under that line."""
    for path in Path(sessionware.__file__).parent.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                yield target.id, str(after.value.value)


ASSIGNED = dict(texts_under_assignments())


@each_name
def test_every_public_name_is_documented(package: Any, name: str) -> None:
    """A name that no page mentions is one that nobody finds."""
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in dev.pages())


def test_the_import_is_light() -> None:
    """Passwords, pages and optional stores are loaded by those who use them."""
    heavy = ["argon2", "precis_i18n", "webob", "sqlalchemy", "redis"]
    code = f"import sys, sessionware; print(*[name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []


def test_the_release_is_written_once() -> None:
    """In the source, so that a checkout that was never installed knows it; the metadata takes it from there."""
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", sessionware.__version__)
    assert re.findall(r"^(?:version|dynamic) = (.+)$", PYPROJECT, re.MULTILINE) == ['["version"]']
    (path,) = re.findall(r'^\[tool\.hatch\.version\]\npath = "(.+)"$', PYPROJECT, re.MULTILINE)
    assert f'__version__ = "{sessionware.__version__}"\n' in (dev.ROOT / path).read_text(encoding="utf-8")


def unused_extras(pyproject: str) -> dict[str, list[str]]:
    """The extras that install what no module imports, each with those packages."""
    section = re.search(r"^\[project\.optional-dependencies\]\n(.*?)(?=^\[|\Z)", pyproject, re.DOTALL | re.MULTILINE)
    extras = re.findall(r"^(\w+) = \[(.*?)\]", section[1] if section else "", re.DOTALL | re.MULTILINE)
    unused = {
        extra: [name for name in re.findall(r'"([\w.-]+)', listed) if name.lower().replace("-", "_") not in IMPORTED]
        for extra, listed in extras
    }
    return {extra: names for extra, names in unused.items() if names}


def imported() -> Iterator[str]:
    """What the library's modules import, wherever in them."""
    for path in Path(sessionware.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            yield from (name.partition(".")[0].lower() for name in names)
            if isinstance(node, ast.ImportFrom) and not node.level:
                yield (node.module or "").partition(".")[0].lower()


IMPORTED = set(imported())


def test_every_extra_is_used() -> None:
    """It installs what some module imports. (The search finds one that is not.)"""
    planted = '[project.optional-dependencies]\nrun = ["webob>=1", "No-Such.Thing>=2"]\n[tool.x]\ny = ["z"]\n'

    assert unused_extras(planted) == {"run": ["No-Such.Thing"]}
    assert unused_extras(PYPROJECT) == {}


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    """PEP 561: without this file the annotations count for nobody."""
    assert (Path(sessionware.__file__).parent / "py.typed").is_file()
