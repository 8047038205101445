"""The source's shape: which module may import which, who holds a third-party package, and how long things get."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import dev

SOURCE = dev.ROOT / "src" / "sessionware"

#: Every module, top layer first. A module imports only from layers below its own, so there can be no cycle.
LAYERS = """
    contrib.flask  contrib.flask_login  contrib.django  contrib.pyramid  contrib.beaker
    contrib._flask_wsgi
    contrib._flask_sessions  contrib._flask_settings
    contrib._django_logins  contrib._django_middleware  contrib._django_settings
    contrib._pyramid_session  contrib._beaker_session
    contrib._beaker_options
    sessionware
    __main__  testing.__main__
    cli
    cli.secret  cli.check  cli.ddl  cli.stats  cli.prune  cli.sessions  cli.revoke  cli.copy
    cli._who
    cli._arguments  cli._sealed  cli._versions  cli._progress
    cli._output
    cli._command
    testing
    testing.clients
    testing.server_contract
    testing.table
    testing.scenarios.parts
    testing.scenarios  testing.store_contract  testing.users_contract
    testing.scenarios.accounts  testing.scenarios.limits  testing.scenarios.sessions  testing.scenarios.triples
    testing.scenarios.promises  testing.scenarios.pairs
    testing.scenarios.requests  testing.scenarios.contexts
    testing.scenarios.acts
    testing.scenarios.acts.origins  testing.scenarios.acts.identity
    testing.scenarios.acts.accounts  testing.scenarios.acts.data  testing.scenarios.acts.forms
    testing.scenarios.acts.act
    testing.interleaving.engine  testing.store_races
    testing.invariants
    testing.invariants.limits
    testing.invariants.forms  testing.invariants.writes  testing.invariants.accounts  testing.invariants.answers
    testing.invariants.saving  testing.invariants.time
    testing.invariants.identity
    testing.invariants.judging
    testing.interleaving.ending  testing.interleaving.visit
    testing.interleaving.states
    testing.interleaving.site
    testing.interleaving.hasher  testing.interleaving.quiet
    testing.interleaving.world  testing.faulty_store  testing.faulty_proxy  testing.races  testing.store_cases
    testing._cookie_jars
    auth
    auth.pages.app
    auth.pages.asking  auth.pages.checks  auth.pages.passage
    auth.pages.login  auth.pages.register  auth.pages.logout  auth.pages.password  auth.pages.sessions
    auth.pages.confirm  auth.pages.forgot  auth.pages.reset  auth.pages.time_left
    auth.pages.request
    auth.pages.answers  auth.pages.settings
    auth.pages.messages
    auth.pages.own_fields  auth.pages.redirects
    auth.pages.owner
    auth.pages.forms  auth.pages.html
    auth.pages.page
    auth.auth
    auth.accounts  auth.recovery
    auth.session_limit
    auth.endings  auth.verify  auth.step_up  auth.outbox  auth.new_passwords  auth.devices  auth.own_timeouts
    auth.throttling.lanes  auth.throttling.known_devices
    auth.throttling.buckets  auth.throttling.networks  auth.throttling.rarely  auth.where
    auth.throttling.throttle
    auth.login_mark
    auth.users
    auth.policy.policy
    auth.policy.breached  auth.policy.weakness
    auth.policy.common_passwords  auth.policy.reduction
    auth.policy.key_runs
    auth.users.memory  auth.users.sqlite  auth.users.sql
    auth.passwords  auth.users.base
    auth._hashing_threads
    middleware
    manager
    _checks  opened  session_info  _request  _deploy
    session
    _dict_like  _flash  _habits
    _core.response
    _core.one_time
    _core.commit  _core.companions  _core.csrf  _core.census  _core.copying
    _core.transaction
    _core.lookup
    _core.header  _core.records  _core.shelf  _core.copy_mark  _core.changes  _core.setup_warnings
    _core.login  _core.pairs
    _core.pages  _core.place  _core.upkeep
    _core.lifetime
    _core.envelope  _core.tickets  _core.origins
    _core.environ  _core.values
    stores
    stores.memory  stores.sqlite  stores.file  stores.sql  stores.redis
    stores._redis_listing
    stores._redis_link
    stores._redis_checks
    stores._redis_cluster
    stores._redis_errors  stores._redis_node
    stores._redis_scripts  stores._redis_settings  stores._redis_format
    stores._redis_sentinel
    stores._redis_package
    stores._file_directory  stores._file_sweep
    stores._file_format
    stores.base
    databases.sqlite  databases.sql
    databases.sql_pool
    databases.sql_tables  databases.sql_drivers
    databases.sql_errors  databases.sql_forks
    databases.schema  databases.sqlite_file
    databases.permissions  databases.replaced
    keyring  cookie  timeouts  usernames  _seals
    events
    _bodies
    _urls
    errors  _types  _version  _storable  _repr  _hidden  _markup
    _core  auth.pages  auth.policy  auth.throttling  contrib  databases  testing.interleaving
"""

#: The imports that point upwards all the same, and why each must.
UPWARDS = {("manager", "middleware"): "wrap(): each of the two makes the other"}

#: Pairs that layers alone would allow: each side does its work without knowing of the other.
STRANGERS = [
    ("middleware", "auth"),
    ("_core.tickets", "session"),
    ("auth", "_core"),
    ("auth.policy", "auth.throttling"),
    ("auth.policy", "auth.where"),
    ("auth.policy", "manager"),
    ("auth.policy", "session"),
    ("auth", "_seals"),
    ("contrib", "_core"),
    ("contrib", "_seals"),
]


class Kind(NamedTuple):
    """Modules of one package that are all of a kind, of which any could be taken out, or another put beside them."""

    base: frozenset[str]
    """What they may share, of all that is in the package."""
    others: frozenset[str] = frozenset()
    """What is in the package and is neither of the kind nor to be shared."""


KINDS = {
    "stores": Kind(
        frozenset({"base", "_file_format", "_file_directory", "_file_sweep"})
        | {"_redis_checks", "_redis_cluster", "_redis_errors", "_redis_format", "_redis_link", "_redis_listing"}
        | {"_redis_node", "_redis_package", "_redis_scripts", "_redis_sentinel", "_redis_settings"}
    ),
    "auth.users": Kind(frozenset({"base"})),
    "cli": Kind(frozenset({"_command", "_output", "_arguments", "_progress", "_sealed", "_who", "_versions"})),
    "auth.pages": Kind(
        frozenset({"request", "forms", "owner", "own_fields", "page"}),
        frozenset({"answers", "app", "asking", "checks", "html", "messages", "passage", "redirects", "settings"}),
    ),
}

#: What there is for everybody outside, and so all that an adapter for a framework may use.
PUBLIC = {"sessionware", "auth", "testing"}

#: Third-party packages, and the one module that may import each. A framework's extensions are adapters of their own.
HOLDERS = {
    "argon2": "auth.passwords",
    "asgiref": "contrib.django",
    "beaker": "contrib.beaker",
    "cryptography": "_seals",
    "django": "contrib.django contrib._django_logins contrib._django_middleware contrib._django_settings",
    "flask": "contrib.flask contrib.flask_login contrib._flask_sessions contrib._flask_wsgi",
    "flask_login": "contrib.flask_login",
    "MySQLdb": "databases.sql_drivers",
    "markupsafe": "_markup",
    "tqdm": "cli._progress",
    "msgpack": "_core.values",
    "precis_i18n": "usernames",
    "psycopg": "databases.sql_drivers",
    "pymysql": "databases.sql_drivers",
    "pyramid": "contrib.pyramid contrib._pyramid_session",
    "redis": "stores._redis_package",
    "sqlalchemy": "databases.sql_pool",
    "webob": "auth.pages.answers",
    "werkzeug": "contrib.flask",
    "zope": "contrib.pyramid contrib._pyramid_session",
}

NO_PACKAGES = {"sessionware", "_typeshed"}  # ourselves, and what exists for type checkers only

MAX_BODY_LINES = 30  # of a function, without the docstring
MAX_FILE_LINES = 400

#: How long some may get, and why.
LONGER_FILES = {
    "_core.commit": (480, "the rules of commit, read as one"),
    "_core.transaction": (470, "one class: what a request has, did and wants"),
    "auth.auth": (800, "one class: a line or two for everything that can be asked of accounts"),
    "manager": (430, "one class: everything that a site's sessions share"),
    "session": (430, "what an application sees of a session, a dict's methods among it"),
    "testing.scenarios.sessions": (650, "data: a list of scenarios"),
}

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
    """Everything a module imports, at its top or inside a function, by absolute name. Not what only types need."""
    found = set()
    for node in nodes_at_run_time(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(module, node)
            found |= {submodule_or(origin, alias.name) for alias in node.names}
    return found


def nodes_at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all in it, but for what stands under `if TYPE_CHECKING`."""
    yield node
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    for child in node.orelse if isinstance(node, ast.If) and is_for_types else ast.iter_child_nodes(node):
        yield from nodes_at_run_time(child)


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


def test_every_module_is_in_the_drawing() -> None:
    """A new module has to be given a layer, and one that is gone has to leave the drawing."""
    missing = MODULES.keys() - LAYER_OF.keys()
    gone = LAYER_OF.keys() - MODULES.keys()

    assert not missing, f"write into LAYERS in {Path(__file__).name}, above all it imports: {sorted(missing)}"
    assert not gone, f"take out of LAYERS in {Path(__file__).name}: {sorted(gone)}"


@each_module
def test_imports_point_downwards(module: str) -> None:
    """A module imports only what lies in a layer below its own."""
    upwards = {name for name in own(imports(module)) if layer(name) >= layer(module) and (module, name) not in UPWARDS}

    assert not upwards, f"{module} may not import {sorted(upwards)}: see LAYERS"


@pytest.mark.parametrize(("below", "above"), UPWARDS)
def test_every_exception_is_there(below: str, above: str) -> None:
    """The table of exceptions says what is, not what was."""
    assert above in own(imports(below))
    assert layer(above) > layer(below)


@each_module
def test_no_module_imports_the_package_root(module: str) -> None:
    """The root collects names for users; inside, each name comes from where it is made."""
    assert within(module, "contrib") or "sessionware" not in own(imports(module))


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_strangers_do_not_meet(one: str, other: str) -> None:
    """Neither side of a pair imports anything from the other."""
    for here, there in [(one, other), (other, one)]:
        for module in MODULES:
            if within(module, here):
                met = {name for name in own(imports(module)) if within(name, there)}
                assert not met, f"{module} may not import {sorted(met)}"


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("package", KINDS)
def test_modules_of_a_kind_know_nothing_of_each_other(package: str) -> None:
    """A store, a table of accounts, a page: each imports, of its package, what all of its kind share and no more."""
    base, others = ({f"{package}.{name}" for name in names} for names in KINDS[package])
    members = {module for module in MODULES if module.startswith(f"{package}.")} - base - others
    met = {module: {name for name in own(imports(module)) if within(name, package)} - base for module in members}

    assert len(members) >= 2
    assert base | others <= MODULES.keys()
    assert not any(met.values()), f"these import others of their kind: {met}"


def test_adapters_import_what_is_public() -> None:
    """An adapter for a framework in here is what anybody could write outside. Its own parts begin with its name."""
    adapters = [module for module in MODULES if module.startswith("contrib.")]
    private = {module: own(imports(module)) - PUBLIC - parts_of(module) for module in adapters}

    assert not any(private.values()), f"import from {sorted(PUBLIC)} alone: {private}"


def parts_of(module: str) -> set[str]:
    """What an adapter has moved into files of their own. One of these may import another one."""
    adapter = next((name for name in MODULES if is_part(module, name)), module)
    return {name for name in MODULES if is_part(name, adapter)}


def is_part(module: str, adapter: str) -> bool:
    """Whether it is one as `contrib._flask_settings` is a part of `contrib.flask`."""
    return module.startswith(adapter.replace("contrib.", "contrib._") + "_")


def test_adapters_and_examples_import_no_private_name() -> None:
    """What begins with an underscore may change with any release."""
    adapters = [path for module, path in MODULES.items() if within(module, "contrib")]
    examples = sorted((dev.ROOT / "examples").glob("*.py"))
    private = {path.name: private_imports(ast.parse(path.read_text(encoding="utf-8"))) for path in adapters + examples}

    assert examples
    assert not any(private.values()), {name: names for name, names in private.items() if names}


def private_imports(tree: ast.Module) -> set[str]:
    """The private names that a file imports from another package: modules, and what is in modules."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            found |= {f"{node.module or ''}.{alias.name}" for alias in node.names}
    return {name for name in found if any(is_private(part) for part in name.split("."))}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@each_module
def test_each_third_party_package_has_one_holder(module: str) -> None:
    """What a dependency does is wrapped in one module; all others are spared its details and its import time."""
    packages = {name.split(".")[0] for name in imports(module)} - sys.stdlib_module_names - NO_PACKAGES
    strangers = {package for package in packages if module not in HOLDERS.get(package, "").split()}

    assert not strangers, f"{module} may not import {sorted(strangers)}: see HOLDERS"


@pytest.mark.parametrize(
    ("package", "holder"), [(package, holder) for package, holders in HOLDERS.items() for holder in holders.split()]
)
def test_every_holder_holds_its_package(package: str, holder: str) -> None:
    """The table of holders says what is, not what was."""
    assert package in {name.split(".")[0] for name in imports(holder)}


@each_module
def test_functions_are_short(module: str) -> None:
    """A function fits into one look, or it is several."""
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = {function.name: n for function in functions if (n := body_lines(function)) > MAX_BODY_LINES}

    assert not long, f"over {MAX_BODY_LINES} lines in {module}: {long}"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of what a function does: neither its signature, which takes a line per setting, nor its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@each_module
def test_files_are_short(module: str) -> None:
    """A file has one reason to change."""
    most, _why = LONGER_FILES.get(module, (MAX_FILE_LINES, ""))

    assert lines(module) <= most, f"{module} has {lines(module)} lines"


@pytest.mark.parametrize("module", LONGER_FILES)
def test_every_longer_file_is_longer(module: str) -> None:
    """One that has become short again needs no exception."""
    assert lines(module) > MAX_FILE_LINES


def lines(module: str) -> int:
    return len(MODULES[module].read_text(encoding="utf-8").splitlines())
