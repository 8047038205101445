"""Step-up: what must have been proved, and how lately, before a page may be shown (ASVS 5.0 7.5.1, 7.5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from .._storable import checked_methods
from ..errors import NotFresh
from ..session import Session
from ..timeouts import _whole_seconds
from .where import CLOCK_SKEW


class Demand(NamedTuple):
    """What a page asks for beyond a login."""

    fresh: int | None
    """The seconds within which it must have been proved; None for "at any time since the login"."""
    methods: tuple[str, ...]

    @classmethod
    def of(cls, fresh: int | timedelta | None, methods: Sequence[str]) -> Demand:
        """The same, checked. Raises `TypeError` and `ValueError`."""
        return cls(None if fresh is None else _whole_seconds(fresh), checked_methods(methods))

    def missing_in(self, session: Session) -> tuple[str, ...]:
        """What has to be proved in this session, in which somebody is logged in. Empty if nothing is missing."""
        now = session.manager._now()
        if self.methods:
            proved = session.methods
            return tuple(name for name in self.methods if not self._is_met(proved.get(name), now))
        # Without a method's name any login will do, and the password is how to get a fresh one.
        return () if self.fresh is None or self._is_met(session.authenticated_at, now) else ("password",)

    def _is_met(self, proved_at: int | None, now: int) -> bool:
        if proved_at is None or self.fresh is None:
            return proved_at is not None
        return -CLOCK_SKEW <= now - proved_at <= self.fresh


def not_fresh(missing: tuple[str, ...], environ_key: str) -> NotFresh:
    """The error that says what is missing."""
    error = NotFresh()
    error.methods, error.environ_key = missing, environ_key
    return error
