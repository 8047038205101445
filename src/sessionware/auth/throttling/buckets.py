"""Buckets of tokens, as records in the sessions' store: taken from before a password is checked, however many ask.

A bucket is one number, the moment at which it will be full again (GCRA, the generic cell rate algorithm, ITU-T I.371).
Each token that is taken moves it one period ahead. A bucket that is full needs no record, so those that nobody takes
from any more expire.

Servers' clocks differ, and clocks are set. If the moment is further ahead than by our clock it can be, we cannot tell
whether another server is still ahead of us, or whether our clock was set back. So the number is left as it is, because
to that server a smaller one would be a full bucket. Until the moment is near again, there is a token each time that
nobody has taken one for a period.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ...errors import StoreError
from ...stores.base import Record
from .throttle import Rate

if TYPE_CHECKING:
    from ..._core.shelf import Shelf

#: A format byte, `full_at` and `waited_since`.
_PAYLOAD = struct.Struct(">BQQ")
_FORMAT = 1

#: Milliseconds. No clock and no bucket gets as far.
_NEVER = 2**50

#: How often to look again when others have taken from the same bucket meanwhile.
_LOOKS = 20


class Claim(NamedTuple):
    """One token that somebody asks for."""

    id: bytes
    """The bucket's."""
    rate: Rate


class Shortage(NamedTuple):
    """There was no token in one of the buckets."""

    claim: Claim
    wait: int
    """Milliseconds until there is one, if nobody else takes it."""


class Level(NamedTuple):
    """What is in a bucket. Times are milliseconds since the epoch."""

    full_at: int = 0
    """When it will be full again."""
    waited_since: int = 0
    """Since when it has been seen that `full_at` is further ahead than it can be; 0 if it is not."""


class _Found(NamedTuple):
    """A bucket, as it was found in the store."""

    version: int
    """Of its record; 0 if there is none."""
    level: Level


class Buckets:
    """The buckets of one site, at one moment, in milliseconds since the epoch.

    All methods raise `StoreUnavailable`.
    """

    def __init__(self, shelf: Shelf, now: int) -> None:
        self._shelf = shelf
        self._now = now

    def take(self, claims: Sequence[Claim]) -> Shortage | None:
        """Take all these tokens, or none. Of callers that race for the last token of a bucket, one gets it.

        All buckets are looked at before anything is written. So a refusal costs reads only, and takes no tokens from
        the buckets that have some: whoever has to wait because strangers try his account keeps his own.
        """
        found = [self._look(claim) for claim in claims]
        waits = [self._wait(claim, each) for claim, each in zip(claims, found, strict=True)]
        if any(waits):
            longest = max(waits)
            return Shortage(claims[waits.index(longest)], longest)
        taken: list[Claim] = []
        try:
            for claim, each in zip(claims, found, strict=True):
                if wait := self._taken(claim, each):
                    self.give_back(taken)
                    return Shortage(claim, wait)
                taken.append(claim)
        except StoreError:
            with suppress(StoreError):  # what has to be told is what went wrong first
                self.give_back(taken)
            raise
        return None

    def give_back(self, claims: Sequence[Claim]) -> None:
        """Put back tokens that were taken and not used, except where too many others take from the same bucket."""
        for claim in claims:
            for _look in range(_LOOKS):
                version, level = self._look(claim)
                before = level._replace(full_at=max(0, level.full_at - _period(claim.rate)))
                if version == 0 or self._put(claim, version, before):
                    break

    def refill(self, claims: Sequence[Claim]) -> None:
        """Put back all tokens that anybody has taken from these buckets."""
        for claim in claims:
            self._shelf.delete(claim.id)

    def _taken(self, claim: Claim, found: _Found) -> int:
        """0 if the token was taken, else the time to wait for one."""
        for attempt in range(_LOOKS):
            if wait := self._wait(claim, found):
                return wait
            if self._put(claim, found.version, after(claim.rate, found.level, self._now)):
                return 0
            self._shelf.pause(attempt)
            found = self._look(claim)
        return _period(claim.rate)  # so many take from it that this one cannot be counted, so it does not get through

    def _wait(self, claim: Claim, found: _Found) -> int:
        wait = wait_for(claim.rate, found.level, self._now)
        if wait and _is_ahead(claim.rate, found.level, self._now) and not _has_waited(found.level, self._now):
            # The one refusal that writes. If somebody else is faster, the next one does it.
            self._put(claim, found.version, found.level._replace(waited_since=self._now))
        return wait

    def _look(self, claim: Claim) -> _Found:
        # Expired or not, because `create` does not put another record in the place of one that has expired.
        record = self._shelf.load(claim.id, 0)
        if record is None:
            return _Found(0, Level())
        level = _level(record.payload)
        if level is None:
            self._shelf.drop_damaged(claim.id)
            return _Found(0, Level())
        return _Found(record.version, level)

    def _put(self, claim: Claim, version: int, level: Level) -> bool:
        """Whether the bucket was changed, which it was not if somebody else was first."""
        expires_at = math.ceil(level.full_at / 1000)
        record = Record(claim.id, version + 1, expires_at, None, _PAYLOAD.pack(_FORMAT, *level))
        return self._shelf.create(record) if version == 0 else self._shelf.replace(record)


def _level(payload: bytes) -> Level | None:
    """What a record says; None if it is damaged."""
    if len(payload) != _PAYLOAD.size or payload[0] != _FORMAT:
        return None
    level = Level(*_PAYLOAD.unpack(payload)[1:])
    return level if max(level) < _NEVER else None


def wait_for(rate: Rate, level: Level, now: int) -> int:
    """How long there will be no token in a bucket; 0 if there is one. Never longer than a period."""
    if not _is_ahead(rate, level, now):
        return max(0, after(rate, level, now).full_at - now - rate.burst * _period(rate))
    since = level.waited_since if _has_waited(level, now) else now
    return max(0, since + _period(rate) - now)


def after(rate: Rate, level: Level, now: int) -> Level:
    """The bucket once a token was taken from it."""
    return Level(max(level.full_at, now) + _period(rate), now if _is_ahead(rate, level, now) else 0)


def _is_ahead(rate: Rate, level: Level, now: int) -> bool:
    """Whether the bucket would be emptier than empty, so that some clock is, or was, ahead of ours."""
    return level.full_at > now + rate.burst * _period(rate)


def _has_waited(level: Level, now: int) -> bool:
    """Whether it was noted that the bucket is ahead. A note from the future is another clock's, and does not count."""
    return 0 < level.waited_since <= now


def _period(rate: Rate) -> int:
    return round(rate.period * 1000)
