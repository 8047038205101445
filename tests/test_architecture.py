"""The source's shape: which module may import which, who holds a third-party package, and how long things get."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "sessionware"

#: Every module, top layer first. A module imports only from layers below its own, so there can be no cycle.
LAYERS = """
    sessionware
    __main__  testing.__main__
    testing
    testing.scenarios  testing.store_contract  testing.users_contract
    testing.interleavings  testing.promises  testing.visits  testing.store_races
    testing.ending
    testing.site  testing.states
    auth
    auth.pages
    auth.login
    auth.passwords  auth.sqlite_users  auth.page_html  auth.redirects
    auth.user_sessions  testing.races  testing.world  testing.faulty_store  testing.store_cases
    auth.users
    middleware
    session  reply
    transaction
    standing
    settings
    cookie_reader  intents
    records
    stores
    stores.memory  stores.sqlite  stores.file
    envelope  stores.slots
    changes  ticket  sqlitedb
    keyring  cookie  stores.base  timeouts  origins  values  usernames
    events  sealer
    errors
"""

#: Pairs that layers alone would allow: each side does its work without knowing of the other.
STRANGERS = [("middleware", "auth"), ("cookie_reader", "session")]

#: Third-party packages, and the one module that may import each.
HOLDERS = {"argon2": "auth.passwords", "cryptography": "sealer", "msgpack": "values", "webob": "auth.pages"}

NO_PACKAGES = {"sessionware", "_typeshed"}  # ourselves, and what exists for type checkers only

MAX_BODY_LINES = 30  # of a function, without the docstring
MAX_FILE_LINES = 400
LONGER_FILES = {"testing.scenarios": 450}  # a list

MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
    or "sessionware": path
    for path in sorted(SOURCE.rglob("*.py"))
}
LAYER_OF = {name: -depth for depth, layer in enumerate(LAYERS.split("\n")) for name in layer.split()}
each_module = pytest.mark.parametrize("module", MODULES)


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """Everything a module imports, at its top or inside a function, by absolute name."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(module, node)
            found |= {submodule_or(origin, alias.name) for alias in node.names}
    return found


def absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = ["sessionware", *MODULES[module].relative_to(SOURCE).parts[:-1]]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *filter(None, [node.module])])


def submodule_or(origin: str, name: str) -> str:
    """`from package import module` imports the module, `from module import name` the module before it."""
    return f"{origin}.{name}" if f"{origin}.{name}".removeprefix("sessionware.") in MODULES else origin


def own(names: set[str]) -> set[str]:
    return {name.removeprefix("sessionware.") for name in names if name.split(".")[0] == "sessionware"}


def layer(module: str) -> int:
    """Its height in the drawing; one that is not drawn counts as the top, where nobody may import it."""
    return LAYER_OF.get(module, 0)


def test_every_module_is_in_the_drawing():
    """A new module has to be given a layer, and one that is gone has to leave the drawing."""
    missing = MODULES.keys() - LAYER_OF.keys()
    gone = LAYER_OF.keys() - MODULES.keys()

    assert not missing, f"write into LAYERS in {Path(__file__).name}, above all it imports: {sorted(missing)}"
    assert not gone, f"take out of LAYERS in {Path(__file__).name}: {sorted(gone)}"


@each_module
def test_imports_point_downwards(module):
    """A module imports only what lies in a layer below its own."""
    upwards = {name for name in own(imports(module)) if layer(name) >= layer(module)}

    assert not upwards, f"{module} may not import {sorted(upwards)}: see LAYERS"


@each_module
def test_no_module_imports_the_package_root(module):
    """The root collects names for users; inside, each name comes from where it is made."""
    assert "sessionware" not in own(imports(module))


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_strangers_do_not_meet(one, other):
    """Neither side of a pair imports anything from the other."""
    for here, there in [(one, other), (other, one)]:
        for module in MODULES:
            if within(module, here):
                met = {name for name in own(imports(module)) if within(name, there)}
                assert not met, f"{module} may not import {sorted(met)}"


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@each_module
def test_each_third_party_package_has_one_holder(module):
    """What a dependency does is wrapped in one module; all others are spared its details and its import time."""
    packages = {name.split(".")[0] for name in imports(module)} - sys.stdlib_module_names - NO_PACKAGES
    strangers = {package for package in packages if HOLDERS.get(package) != module}

    assert not strangers, f"{module} may not import {sorted(strangers)}: see HOLDERS"


@pytest.mark.parametrize(("package", "holder"), HOLDERS.items())
def test_every_holder_holds_its_package(package, holder):
    """The table of holders says what is, not what was."""
    assert package in {name.split(".")[0] for name in imports(holder)}


@each_module
def test_functions_are_short(module):
    """A function fits into one look, or it is several."""
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = {function.name: n for function in functions if (n := body_lines(function)) > MAX_BODY_LINES}

    assert not long, f"over {MAX_BODY_LINES} lines in {module}: {long}"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of what a function does: neither its signature, which takes a line per setting, nor its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@each_module
def test_files_are_short(module):
    """A file has one reason to change."""
    count = len(MODULES[module].read_text(encoding="utf-8").splitlines())

    assert count <= LONGER_FILES.get(module, MAX_FILE_LINES), f"{module} has {count} lines"
