"""What a request changes about the session itself, beyond its data: a login, a new token, a longer life.

These are the header fields of the envelope, and only what was asked for here changes them (rule 4).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from .._storable import MAX_METHODS
from .envelope import Envelope, lasting
from .lifetime import Limits, limits_for, remembered_until
from .login import Login, Renewal
from .tickets import Token, token_hash


class Remember(NamedTuple):
    """For how long a session should be remembered; `seconds` are None for "no longer"."""

    seconds: int | None
    is_sliding: bool = False


class HeaderChanges(NamedTuple):
    """What will be done to the header when this request is saved."""

    login: Login | None = None
    renewal: Renewal | None = None
    """Replace the token."""
    remember: Remember | None = None
    csrf_renewals: int = 0
    """How often to renew the token for forms."""
    creates: bool = False
    """Store the session even if it holds no data."""

    @property
    def renews(self) -> bool:
        """Whether the token is to be replaced, whoever logs in."""
        return self.renewal is not None

    @property
    def needs_token(self) -> bool:
        """Whether the session gets a new token, and its epoch moves."""
        return self.login is not None or self.renews

    @property
    def is_proof(self) -> bool:
        """Whether somebody has proved who it is: as a login, or once more in one."""
        return self.login is not None or (self.renewal is not None and self.renewal.reauthenticates)

    @property
    def is_activity(self) -> bool:
        """Whether this keeps a session alive even in a request that otherwise would not (rule 14)."""
        return self.login is not None or self.renews or self.remember is not None

    @property
    def proves(self) -> tuple[str, ...]:
        """How somebody proved who it is, by this login or once more in one, for events."""
        asked = [change.methods for change in (self.login, self.renewal) if change is not None]
        return tuple(dict.fromkeys(itertools.chain.from_iterable(asked)))

    @property
    def names(self) -> tuple[str, ...]:
        """The calls that asked for these changes, for events."""
        asked = (
            ("" if self.renewal is None else self.renewal.what, self.renews),
            ("remember()", self.remember is not None),
            ("renew_csrf()", self.csrf_renewals > 0),
        )
        return tuple(name for name, is_asked in asked if is_asked)

    def logging_in(self, login: Login) -> HeaderChanges:
        """The same with this login, which says itself what it proves: what was proved before it was another's proof."""
        renewal = None if self.renewal is None else Renewal(what=self.renewal.what)
        return self._replace(login=login, renewal=renewal)

    def apply(
        self, envelope: Envelope, now: int, token: Token | None, limits: Limits, *, is_new: bool = False
    ) -> Envelope:
        """The envelope with these changes, and with the new token if there is one.

        `is_new` says that the session, or its login, is of this request.
        """
        if token is not None and self.needs_token:
            envelope = self._with_token(envelope, now, token_hash(token.secret))
        if self.login is not None:
            envelope = _logged_in(envelope, self.login, now, limits)
        if self.renewal is not None:
            envelope = _renewed(envelope, self.renewal, now, limits)
        if self.remember is not None:
            envelope = _remembered(envelope, self.remember, now, limits, is_new=is_new or self.login is not None)
        if self.csrf_renewals:
            envelope = envelope.with_extra(cs=envelope.csrf_renewals + self.csrf_renewals)
        return envelope

    def _with_token(self, envelope: Envelope, now: int, hashed: bytes) -> Envelope:
        """The envelope with another token. A login keeps the hashes of those that it replaced, as proof for rule 6."""
        is_created = envelope.token_hash == hashed
        replaced = None if self.login is None or self.renews or is_created else envelope.fitting
        if self.login is not None:
            # The count of form tokens belongs to the session, and not to the login before.
            renewals = envelope.csrf_renewals or None
            envelope = envelope._replace(extra=lasting(envelope.extra)).with_extra(cs=renewals)
        if replaced is not None or envelope.extra:
            envelope = envelope.with_extra(si=None, pt=replaced)
        return envelope._replace(token_hash=hashed, rotated_at=now, epoch=envelope.epoch + 1)


UNCHANGED = HeaderChanges()


def proved(header: HeaderChanges, envelope: Envelope | None, now: int) -> dict[str, int]:
    """How the user will have proved who it is once this is saved, each with the time. Empty if nobody is logged in."""
    if header.login is not None:
        methods = dict.fromkeys(header.login.methods, now)
    elif envelope is not None and envelope.authenticated_at is not None:
        methods = envelope.methods
    else:
        return {}
    return methods if header.renewal is None else _also_proved(methods, header.renewal.methods, now)


def _also_proved(methods: dict[str, int], just_now: tuple[str, ...], now: int) -> dict[str, int]:
    """What was proved before, and what was just now. Only the latest are kept, because a header stays small."""
    latest = sorted({**methods, **dict.fromkeys(just_now, now)}.items(), key=lambda proof: proof[1])
    return dict(latest[-MAX_METHODS:])


def _logged_in(envelope: Envelope, login: Login, now: int, limits: Limits) -> Envelope:
    if login.own_limits is not None or login.methods or login.note:
        proved = dict.fromkeys(login.methods, now) or None
        envelope = envelope.with_extra(li=login.own_limits, me=proved, no=login.note or None)
    limits = limits_for(envelope, limits)
    return envelope._replace(
        username=login.username,
        user_id=login.user_id,
        session_version=login.session_version,
        authenticated_at=now,
        deadline=now + limits.lifetime,
        idle=limits.idle,
    )


def _renewed(envelope: Envelope, renewal: Renewal, now: int, limits: Limits) -> Envelope:
    """What is written beside a new token, for somebody who is logged in."""
    if envelope.authenticated_at is None:
        return envelope
    if renewal.methods:
        envelope = envelope.with_extra(me=_also_proved(envelope.methods, renewal.methods, now))
    if renewal.username is not None:
        envelope = envelope._replace(username=renewal.username)
    if renewal.session_version is not None:
        envelope = envelope._replace(session_version=renewal.session_version)
    if not renewal.reauthenticates:
        return envelope
    # What was remembered to a fixed time was granted by a login that said so; a password alone does not prolong it.
    deadline = envelope.deadline if envelope.is_remembered else now + limits_for(envelope, limits).lifetime
    return envelope._replace(authenticated_at=now, deadline=deadline)


def _remembered(envelope: Envelope, wish: Remember, now: int, limits: Limits, *, is_new: bool) -> Envelope:
    own = limits_for(envelope, limits)
    if wish.seconds is None:
        if not envelope.is_remembered:
            return envelope
        is_anonymous = envelope.authenticated_at is None
        return envelope.with_extra(sl=None)._replace(
            deadline=envelope.began_at + (own.anonymous_lifetime if is_anonymous else own.lifetime),
            idle=own.anonymous if is_anonymous else own.idle,
        )
    if wish.is_sliding:
        sliding, deadline = min(wish.seconds, own.remember), envelope.began_at + own.remember_lifetime
        return envelope if deadline <= now else envelope.with_extra(sl=sliding)._replace(deadline=deadline, idle=None)
    until = remembered_until(envelope, wish.seconds, limits, now, is_new=is_new)
    return envelope if until is None else envelope.with_extra(sl=None)._replace(deadline=until, idle=None)
