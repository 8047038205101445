"""Limits of a login's own: shorter ones for kiosks and administrators, for example."""

from __future__ import annotations

from collections.abc import Callable

from .._checks import shown
from .._types import Environ
from ..errors import ConfigError
from ..timeouts import Timeouts
from .users.base import User

ChooseTimeouts = Callable[[User, Environ], Timeouts | None]
"""Takes who logs in and the environ as it came in, and returns the login's own limits; None for the site's."""


class OwnTimeouts:
    """Asks the application for the limits of each login."""

    def __init__(self, choose: ChooseTimeouts | None) -> None:
        if choose is not None and not callable(choose):
            raise ConfigError(
                f"timeouts={shown(choose)}: pass a function that takes a User and an environ, and returns Timeouts or "
                "None. The limits of all logins are set where the store is: SessionMiddleware(…, timeouts=Timeouts(…))."
            )
        self._choose = choose

    def of(self, user: User, environ: Environ) -> Timeouts | None:
        """The limits of this login; None for the site's. Raises `TypeError` if the application returns something else.

        Something else is no reason to fall back on the site's limits: those of an administrator would be too long.
        """
        chosen: object = None if self._choose is None else self._choose(user, environ)
        if chosen is None or isinstance(chosen, Timeouts):
            return chosen
        raise TypeError(
            f"The function timeouts= returned an object of type {type(chosen).__name__}. Let it return None for the "
            "site's limits, or Timeouts; those of the site are a good start: "
            "dataclasses.replace(get_session(environ).manager.timeouts, idle=600)."
        )
