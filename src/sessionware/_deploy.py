"""Settings as text: from environment variables, or from an ini file that Paste Deploy has read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from ._hidden import Hidden
from .cookie import Cookie
from .errors import ConfigError
from .keyring import Keyring
from .stores import open_store
from .timeouts import Timeouts, _meant_by

_PREFIX = "SESSIONWARE_"

#: The project's own tests use these, and an application tested in the same environment must not reject them.
_NOT_OURS = "SESSIONWARE_TEST_"

_MOST_DIGITS = 12

_HOW_TO_MAKE_ONE = (
    "`python -m sessionware secret --file PATH` makes a file with a good secret, unless it is there already."
)


def arguments_from_environment(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Arguments for `SessionManager` from variables such as `SESSIONWARE_STORE`. Raises `ConfigError`."""
    given = Hidden(os.environ if variables is None else variables)
    del variables
    ours = Settings({name: text for name, text in given.value.items() if not name.startswith(_NOT_OURS)})
    return _from_text(ours, lambda name: _PREFIX + name.upper(), _PREFIX)


def arguments_for_commands(variables: Mapping[str, str], secret_file: str | None = None) -> dict[str, Any]:
    """The same, but for the store, which a command is told, and the secret, which it may be told. `ConfigError`."""
    given, file = Hidden(variables), Hidden(secret_file)
    del variables, secret_file
    left_out = {"SESSIONWARE_STORE"} | (
        set() if file.value is None else {"SESSIONWARE_SECRET", "SESSIONWARE_SECRET_FILE"}
    )

    def is_ours(name: str) -> bool:
        return name.startswith(_PREFIX) and not name.startswith(_NOT_OURS) and name not in left_out

    def spelt(name: str) -> str:
        return "--secret-file" if name == "secret_file" and file.value is not None else _PREFIX + name.upper()

    ours = Settings({name: text for name, text in given.value.items() if is_ours(name)})
    if file.value is not None:
        ours[spelt("secret_file")] = file.value
    return _from_text(ours, spelt, "")


def arguments_from_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Arguments for `SessionManager` from the settings of an ini file that have this prefix. Raises `ConfigError`."""
    given = Hidden(settings)
    del settings
    ours = Settings({name: str(value) for name, value in given.value.items() if name.startswith(prefix)})
    return _from_text(ours, lambda name: prefix + name, prefix)


def _from_text(given: Settings, spelt: Callable[[str], str], prefix: str) -> dict[str, Any]:
    ours, known = [name for name in given if name.startswith(prefix)], {spelt(name): name for name in _KNOWN}
    _check_names(ours, known)
    for name in ours:
        if known[name] in _NEVER_EMPTY and not given[name].strip():
            raise ConfigError(f"{name} is empty: set it, or leave it out.")
    return _arguments(Settings({known[name]: given[name] for name in ours}), spelt)


class Settings(dict[str, str]):
    """Settings as text. Their values, among which is the secret, show in no traceback."""

    def __repr__(self) -> str:
        return f"Settings({', '.join(self)})"


def _check_names(names: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: there is no such setting. The settings are {', '.join(known)}.")


def _arguments(settings: Mapping[str, str], spelt: Callable[[str], str]) -> dict[str, Any]:
    """`spelt` says how the user wrote a setting's name."""
    arguments: dict[str, Any] = {}
    with _named(settings, spelt, "secret"):
        secret = Hidden(Keyring(_secret(settings, spelt)))
    if "trusted_origins" in settings:
        arguments["trusted_origins"] = settings["trusted_origins"].split()
    cookie = {name: settings[f"cookie_{name}"] for name in _COOKIE_SETTINGS if f"cookie_{name}" in settings}
    if cookie:
        with _named(settings, spelt, "cookie_"):
            arguments["cookie"] = Cookie(**{name: _COOKIE_SETTINGS[name](text) for name, text in cookie.items()})
    limits = {name: settings[f"timeout_{name}"] for name in _TIMEOUTS if f"timeout_{name}" in settings}
    if limits:
        seconds = {name: _seconds(spelt(f"timeout_{name}"), text) for name, text in limits.items()}
        with _named(settings, spelt, "timeout_"):
            arguments["timeouts"] = Timeouts(**seconds)
    if "store" in settings:
        with _named(settings, spelt, "store"):
            arguments["store"] = open_store(settings["store"])  # last, because it may make a file
    return {"secret": secret.value, **arguments}


@contextmanager
def _named(settings: Mapping[str, str], spelt: Callable[[str], str], prefix: str) -> Iterator[None]:
    """Put the names of these settings before an error that does not say how the user wrote them."""
    try:
        yield
    except ConfigError as error:
        text, names = str(error), [spelt(name) for name in settings if name.startswith(prefix)]
        if any(name in text for name in names):
            raise
        raise ConfigError(f"{', '.join(names)}: {text}" if names else text) from None


def _secret(settings: Mapping[str, str], spelt: Callable[[str], str]) -> str | list[str]:
    """The secret, or those in the file, one per line and newest first."""
    if ("secret" in settings) == ("secret_file" in settings):
        problem = "both are set" if "secret" in settings else "neither is set"
        raise ConfigError(f"Set either {spelt('secret')} or {spelt('secret_file')}; {problem}. {_HOW_TO_MAKE_ONE}")
    if "secret" in settings:
        return settings["secret"].strip()
    text = Hidden(_read(Hidden(settings["secret_file"]), spelt("secret_file")))
    secrets = Hidden([line.strip() for line in text.value.split("\n") if line.strip()])
    if not secrets.value:
        raise ConfigError(f"{spelt('secret_file')}: the file is empty. Remove it. {_HOW_TO_MAKE_ONE}")
    if not all(map(str.isprintable, secrets.value)):
        raise ConfigError(f"{spelt('secret_file')}: write the secrets as plain text in UTF-8, one per line.")
    return secrets.value


def _read(path: Hidden[str], name: str) -> str:
    """The file's text. An error shows neither the path, which may be the secret itself, nor a byte of the content."""
    try:
        return Path(path.value).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{name}: there is no such file. {_HOW_TO_MAKE_ONE}") from None
    except OSError as error:
        problem = error.strerror or "it cannot be opened"
    except UnicodeDecodeError:
        problem = "it is not text in UTF-8"
    except ValueError:
        problem = "this is not a path"
    raise ConfigError(f"{name}: the file cannot be read ({problem}).")


def _seconds(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise ConfigError(f"{name}={text[:_MOST_DIGITS]!r}: write a whole number of seconds{_meant_by(name, text)}.")
    return int(text)


def _secure(text: str) -> bool | str:
    """True or False. Anything else is left as it is: `Cookie` accepts "auto" and says what is wrong with the rest."""
    return {"true": True, "false": False}.get(text.lower(), text)


_COOKIE_SETTINGS: dict[str, Callable[[str], Any]] = {
    "name": str,
    "domain": str,
    "path": str,
    "secure": _secure,
    "samesite": str,
}
_NEVER_EMPTY = ("store", "secret_file")
_TIMEOUTS = tuple(field.name for field in fields(Timeouts))
_KNOWN = (
    "secret",
    "secret_file",
    "store",
    "trusted_origins",
    *(f"cookie_{name}" for name in _COOKIE_SETTINGS),
    *(f"timeout_{name}" for name in _TIMEOUTS),
)
