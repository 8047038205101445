"""What public names say of themselves: to a reader, to an editor, to Sphinx and to whatever resolves annotations."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dev
import sessionware
import sessionware.auth
import sessionware.testing

PACKAGES = [sessionware, sessionware.auth, sessionware.testing]

#: Made by the library alone; what their constructors take concerns nobody else.
MADE_BY_US = {"Session", "Opened", "Ending"}

#: Fields about which a sentence would only repeat the name. docs/reference.md says the rest.
SPEAK_FOR_THEMSELVES = {
    "Argon2Hasher": {"time_cost", "parallelism"},
    "Cookie": {"name", "samesite", "partitioned"},
    "Event": {"name", "user_id", "client_address", "detail"},
    "Request": {"name", "view", "status"},
    "Scenario": {"name", "requests", "holds", "timeouts"},
    "User": {"is_active"},
}

#: Names a class that makes sessions, and so stands above them: only type checkers may look up there.
LOOKS_UP = {"Session.manager", "SessionManager.wrap"}

PUBLIC = {f"{package.__name__}.{name}": getattr(package, name) for package in PACKAGES for name in package.__all__}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods, properties and fields, those too that our own base classes give. Not the contracts' tests."""
    for base in cls.__mro__:
        if base.__module__.split(".")[0] == "sessionware":
            yield from ((name, value) for name, value in vars(base).items() if is_public(name, value))
            yield from ((name, None) for name in inspect.get_annotations(base) if is_public(name, None))


def is_public(name: str, value: object) -> bool:
    return not name.startswith(("_", "test_")) and not inspect.isclass(value)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, method and property."""
    for path, thing in PUBLIC.items():
        if inspect.isfunction(thing):
            yield path, thing
        if inspect.isclass(thing):
            for name, value in members(thing):
                function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                if inspect.isfunction(function):
                    yield f"{path.rpartition('.')[2]}.{name}", function
            if inspect.isfunction(init := vars(thing).get("__init__")):
                yield f"{path.rpartition('.')[2]}.__init__", init


def arguments(function: Callable[..., Any]) -> list[str]:
    names = [name for name in inspect.signature(function).parameters if not name.startswith("_")]
    return [name for name in names if name not in ("self", "cls")]


FUNCTIONS = dict(functions())
each_function = pytest.mark.parametrize(("name", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
each_class = pytest.mark.parametrize(("path", "cls"), CLASSES.items(), ids=CLASSES)


@each_class
def test_every_member_is_in_the_reference(path: str, cls: type) -> None:
    """Methods, properties, fields and what constructors take: each stands in backticks on the page."""
    reference = (dev.ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    names = {name for name, _ in members(cls)}
    init = vars(cls).get("__init__")
    if cls.__name__ not in MADE_BY_US and inspect.isfunction(init) and init.__module__ == cls.__module__:
        names |= set(arguments(init))
    if dataclasses.is_dataclass(cls):
        names |= {field.name for field in dataclasses.fields(cls) if not field.name.startswith("_")}

    missing = {name for name in names if not re.search(rf"`{re.escape(name)}[`(]", reference)}

    assert not missing, f"{path}: write {sorted(missing)} into docs/reference.md"


@each_function
def test_annotations_can_be_resolved(name: str, function: Callable[..., Any]) -> None:
    """Whatever reads them at run time finds every name in them."""
    if name in LOOKS_UP:
        with pytest.raises(NameError):
            typing.get_type_hints(function)
    else:
        typing.get_type_hints(function)


@each_function
def test_every_function_says_what_it_does(name: str, function: Callable[..., Any]) -> None:
    """To an editor too: a store's methods get their texts from the protocol."""
    owner, _, member = name.rpartition(".")
    thing = getattr(CLASSES.get(f"sessionware.{owner}"), member, function)
    if member != "__init__":
        assert inspect.getdoc(thing) or inspect.getdoc(function) or _inherited(owner, member), f"{name} says nothing"


def _inherited(owner: str, member: str) -> str | None:
    """What an editor shows for a method without a text of its own."""
    return inspect.getdoc(getattr(_class(owner), member, None))


@each_function
def test_three_arguments_have_a_section(name: str, function: Callable[..., Any]) -> None:
    """An editor can then show what each is for. For a constructor, its class says it."""
    names = arguments(function)
    owner, _, member = name.rpartition(".")
    text = _class_text(owner) if member == "__init__" else (inspect.getdoc(function) or "")
    if len(names) < 3 or owner in (*MADE_BY_US, *_protocols()) or _is_of_protocol(owner, member):
        return
    told = set(re.findall(r"^ +(\w+): ", text.partition("Args:\n")[2], re.MULTILINE))
    if member == "__init__":
        told |= _told_of_fields(owner) | SPEAK_FOR_THEMSELVES.get(owner, set())

    assert set(names) <= told, f"{name}: give {sorted(set(names) - told)} a line under Args:"


@pytest.mark.parametrize(("owner", "names"), SPEAK_FOR_THEMSELVES.items())
def test_what_speaks_for_itself_is_not_explained_elsewhere(owner: str, names: set[str]) -> None:
    """The table of exceptions says what is, not what was."""
    assert names <= {field.name for field in dataclasses.fields(_class(owner))}
    assert not names & _told_of_fields(owner)


def _told_of_fields(owner: str) -> set[str]:
    """What a value or an exception, which keeps what it is given, says of it: under the field, or in the class's text.

    Nothing for any other class.
    """
    cls = _class(owner)
    if not (dataclasses.is_dataclass(cls) or issubclass(cls, Exception)):
        return set()
    return {name for name, _ in field_texts(cls)} | set(re.findall(r"`(\w+)[`=]", _class_text(owner)))


def _class(name: str) -> type:
    return next(cls for path, cls in CLASSES.items() if path.rpartition(".")[2] == name)


def _class_text(owner: str) -> str:
    return inspect.getdoc(_class(owner)) or ""


def _protocols() -> list[str]:
    """Their texts are promises, which name every argument in a sentence."""
    return [path.rpartition(".")[2] for path, cls in CLASSES.items() if getattr(cls, "_is_protocol", False)]


def _is_of_protocol(owner: str, member: str) -> bool:
    protocols = {cls for cls in CLASSES.values() if getattr(cls, "_is_protocol", False)}
    bases = _class(owner).__mro__ if owner in _class_names() else ()
    return any(base in protocols and hasattr(base, member) for base in bases)


def _class_names() -> set[str]:
    return {path.rpartition(".")[2] for path in CLASSES}


def test_no_property_begins_with_a_type() -> None:
    """Napoleon takes what stands before the first colon of a property's or a field's first line for its type."""
    wrong = []
    for path, cls in CLASSES.items():
        texts = [(name, inspect.getdoc(value) or "") for name, value in members(cls) if isinstance(value, property)]
        wrong += [f"{path}.{name}" for name, text in [*texts, *field_texts(cls)] if has_colon(text)]

    assert not wrong, f"take the colon out of the first line of {wrong}"


def has_colon(text: str) -> bool:
    """Outside of code: a URL or a slice is not taken for a type."""
    return ":" in re.sub(r"`[^`]*`", "", text.split("\n")[0])


def field_texts(cls: type) -> Iterator[tuple[str, str]]:
    """The texts that stand under fields."""
    body = ast.parse(inspect.getsource(cls).lstrip()).body[0]
    assert isinstance(body, ast.ClassDef)
    for node, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(node, (ast.AnnAssign, ast.Assign)) and isinstance(after, ast.Expr):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name) and isinstance(after.value, ast.Constant):
                yield target.id, str(after.value.value)


def test_sphinx_builds_every_docstring(tmp_path: Path) -> None:
    """With autodoc and napoleon, as most do: no warning, and no text that was taken for a type."""
    (tmp_path / "conf.py").write_text(
        'extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]\nproject = "sessionware"\n'
        'autodoc_default_options = {"members": True, "undoc-members": True}\nautodoc_typehints = "description"\n'
        'default_role = "literal"\nsuppress_warnings = ["ref.python"]\n'
    )
    titles = [f"{package.__name__}\n{'=' * 30}\n\n.. automodule:: {package.__name__}\n" for package in PACKAGES]
    (tmp_path / "index.rst").write_text("\n".join(titles))

    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "-b",
            "text",
            str(tmp_path),
            str(tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
    )

    text = (tmp_path / "out" / "index.txt").read_text(encoding="utf-8")
    assert built.returncode == 0, built.stderr
    mangled = re.findall(r"^ *Type:\n.*", text, re.MULTILINE)
    assert [line for line in mangled if len(line.split()) > 12] == []
    assert "renew_token" in text
