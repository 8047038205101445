"""The arguments of `AuthPages`, looked at when it is built."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ...errors import ConfigError
from ..auth import Auth
from .messages import name_of
from .redirects import safe_next
from .settings import PageFile

_is_prefix = re.compile(r"(/[A-Za-z0-9._~-]+)*").fullmatch


def check_arguments(app: object, auth: object, **switches: object) -> None:
    """Raise `ConfigError` for an application, an `Auth` or a switch of the wrong kind."""
    if not callable(app):
        raise ConfigError(f"AuthPages(app, auth): app must be a WSGI application, not {type(app).__name__}.")
    if not isinstance(auth, Auth):
        raise ConfigError(f"AuthPages(app, auth): auth must be an Auth, not {type(auth).__name__}.")
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{name}={value!r}: write True or False.")


def check_render(render: object) -> None:
    """Raise `ConfigError` unless this is a function of a page and a request."""
    if not callable(render):
        raise ConfigError(f"render={render!r}: pass a function that takes a Page and the request, and returns HTML.")
    if not _takes_two(render):
        raise ConfigError(f"render={render!r}: it is called as render(page, request), so it has to take two arguments.")


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # some functions written in C do not say
        return True
    return True


def check_paths(prefix: object, home: object, stylesheet: object) -> None:
    """Raise `ConfigError` unless they are paths of this site."""
    if not isinstance(prefix, str) or not _is_prefix(prefix):
        raise ConfigError(f'prefix={prefix!r}: write a path such as "/account", without a slash at the end.')
    if not home or safe_next(home, "") != home:
        raise ConfigError(f'home={home!r}: write a path of this site, such as "/".')
    if stylesheet and safe_next(stylesheet, "") != stylesheet:
        raise ConfigError(f'stylesheet={stylesheet!r}: write a path of this site, such as "/static/login.css".')


def check_step_up(step_up: object) -> Mapping[str, str]:
    """The pages by their methods. Raises `ConfigError` for one that is not of this site."""
    if not isinstance(step_up, Mapping):
        raise ConfigError('step_up: write a dict of methods and paths, such as {"totp": "/second-factor"}.')
    for method, path in step_up.items():
        if not isinstance(method, str) or not method:
            raise ConfigError(f'step_up: {method!r} is not the name of a method, such as "totp".')
        if method == "password":
            raise ConfigError("step_up: the password is proved at /confirm. Leave it out.")
        if not path or safe_next(path, "") != path or "#" in path:
            raise ConfigError(f'step_up[{method!r}]={path!r}: write a path of this site, such as "/second-factor".')
    return dict(step_up)


def check_without(without: object, pages: Iterable[PageFile]) -> frozenset[str]:
    """The paths of the pages that have these names. Raises `ConfigError` for a name that no page has."""
    paths = {name_of(page): page.PATH for page in pages}
    if isinstance(without, str) or not isinstance(without, Collection):
        raise ConfigError(f'without={without!r}: write the names of pages in a tuple, such as ("login",).')
    for name in without:
        if name not in paths:
            raise ConfigError(f"without: there is no page {name!r}. Write some of {', '.join(paths)}.")
    return frozenset(paths[name] for name in without)
