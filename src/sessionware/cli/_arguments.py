"""Arguments that several commands have, and what they stand for: a store, a namespace in it, the site's sessions."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any, TypeVar

from .._core.copy_mark import Names
from .._core.copying import RESERVED
from .._deploy import arguments_for_commands
from .._hidden import Hidden, HiddenText
from ..errors import ConfigError
from ..manager import SessionManager
from ..stores import open_existing_store
from ..stores.base import Store, checked_name
from ._command import CommandFailed, UsageError

_T = TypeVar("_T")

_STORE = "SESSIONWARE_STORE"
_SECRETS = ("SESSIONWARE_SECRET", "SESSIONWARE_SECRET_FILE")


def add_url(parser: ArgumentParser, *, also: str = "") -> None:
    """The store's URL."""
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help=f"the store, such as sqlite:///sessions.db or postgresql://mysite@localhost/mysite{also}; env:NAME takes "
        f"it from an environment variable, which no list of processes shows. Without one: {_STORE}",
    )


def add_namespace(parser: ArgumentParser) -> None:
    """A namespace to look after, instead of the sessions themselves."""
    parser.add_argument(
        "--namespace",
        metavar="NAME/NAME",
        type=names_of,
        default=(),
        help="a namespace in the store, by the names that lead there",
    )


def add_json(parser: ArgumentParser) -> None:
    """Output for programs."""
    parser.add_argument("--json", action="store_true", help="print JSON; times are in seconds")


def add_secret(parser: ArgumentParser) -> None:
    """The secret, which is not an argument itself, because all users of a machine see those."""
    parser.add_argument(
        "--secret-file",
        metavar="PATH",
        help=f"the site's secret, or secrets, one per line. Without it: {' or '.join(_SECRETS)}",
    )


def names_of(text: str) -> tuple[str, ...]:
    """The names in a namespace's path."""
    try:
        return tuple(map(checked_name, text.split("/")))
    except ConfigError as error:
        raise ArgumentTypeError(str(error)) from None


def url_in(text: str | None) -> str:
    """The URL that an argument stands for. Raises `UsageError`."""
    if text is None:
        if _STORE not in os.environ:
            raise UsageError(f"give the URL of the store, or set {_STORE}")
        return _filled(os.environ[_STORE], _STORE)
    if not text.startswith("env:"):
        return _filled(text, "the URL")
    name = text.removeprefix("env:")
    if name not in os.environ:
        raise UsageError(f"there is no environment variable {name!r}")
    return _filled(os.environ[name], name)


def _filled(text: str, name: str) -> HiddenText:
    """The text, if there is any: a variable of a shell may not have been set."""
    if not text.strip():
        raise UsageError(f"{name} is empty")
    return HiddenText(text)


def store_in(options: Namespace) -> Store:
    """The store that there is, and the namespace in it. Raises `ConfigError` and `UsageError`."""
    return closed_at_end(options, open_existing_store(url_in(options.url), options.namespace))


def check_names(names: Names) -> None:
    """Raise `UsageError` for a namespace of the library's own, which holds no sessions."""
    if any(name in RESERVED for name in names):
        raise UsageError(f"{'/'.join(names)}: {', '.join(RESERVED)} are the library's own, and cannot be named")


def closed_at_end(options: Namespace, opened: _T) -> _T:
    """Let the connections of a store or a table be closed when the command has been run."""
    if hasattr(opened, "close"):
        options.at_end.callback(opened.close)
    return opened


def manager_in(options: Namespace) -> SessionManager:
    """The site's sessions, with the limits that its environment sets. Raises `ConfigError` and `UsageError`."""
    check_names(options.namespace)
    return SessionManager(**settings_in(options).value, store=store_in(options))


def settings_in(options: Namespace) -> Hidden[dict[str, Any]]:
    """The secret, and what else the environment sets. Raises `ConfigError` and `UsageError`."""
    if options.secret_file is None and not any(name in os.environ for name in _SECRETS):
        raise UsageError(f"the site's secret is needed: give --secret-file PATH, or set {_SECRETS[1]}")
    _check_secret_file(options)
    return Hidden(arguments_for_commands(os.environ, options.secret_file))


def _check_secret_file(options: Namespace) -> None:
    """Raise `UsageError` or `CommandFailed` for one that is not there. The library would advise to make a new one."""
    name = _SECRETS[1] if options.secret_file is None else "--secret-file"
    file = Hidden(os.environ.get(name) if options.secret_file is None else options.secret_file)
    if file.value is None:
        return
    _filled(file.value, name)
    if not Path(file.value).exists():
        raise CommandFailed(f"{name}: there is no such file. Give the one that the site reads its secret from")
