"""Which lanes an attempt has to pass, and what is told when it does not.

A lane is one bucket: of a client, of an account, of both. An attempt takes a token from each of its lanes before
anything is looked up or hashed, so attempts that overlap are counted like any others, and an account that does not
exist is treated as one that does.

An address that has used up its own tokens never gets as far as the account's lane. So one address cannot keep everybody
else from an account. A crowd of addresses can, except for the browsers that the account knows: each of those has a lane
of its own, which is tried first. Once that is empty, the browser is like any other, because a thief may have a copy of
its cookie, and must not be able to keep its owner out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, NamedTuple, NoReturn

from ..._checks import shown as shown_argument
from ...errors import Busy, ConfigError, StoreError, Throttled
from ..where import Where
from .buckets import Buckets, Claim, Shortage
from .networks import is_list, network_of
from .rarely import Rarely
from .throttle import Rate, Throttle

_logger = logging.getLogger("sessionware")

_OFF = (
    "Auth(throttle=%s): nothing limits how often a password can be tried. Leave throttle= out, unless something in "
    "front of the application does it."
)

#: Hexadecimal digits, to know a browser by in events.
_SHOWN = 8


_Success = Literal["keeps its token", "gives it back", "refills the lane"]


class _Lane(NamedTuple):
    claim: Claim
    shown: str
    """The lane, for operators."""
    success: _Success
    """What an attempt that succeeds does."""

    @property
    def told(self) -> str:
        """The lane with its figures."""
        return f"{self.shown}: {self.claim.rate.burst} at once, then one every {self.claim.rate.period:g} s"


class _Emptied(NamedTuple):
    """A lane that has refused an attempt."""

    lane: _Lane
    shortage: Shortage


class Attempt:
    """An attempt that has passed its lanes."""

    def __init__(self, buckets: Buckets | None, lanes: Iterable[_Lane]) -> None:
        self._buckets = buckets
        self._lanes = list(lanes)

    def succeeded(self) -> None:
        """Forget what this client has tried at this account, and that it has tried this time.

        Not what it has tried elsewhere: an attacker has an account of his own to log in to. And not what others have
        tried at this account: each login of its owner would let a crowd go on, and tell it that there is an owner.
        """
        if self._buckets is not None:
            self._buckets.refill(self._claims("refills the lane"))
            self._buckets.give_back(self._claims("gives it back"))

    def give_back(self) -> None:
        """Take the attempt back, because nobody has learned anything about the password."""
        if self._buckets is not None:
            self._buckets.give_back([lane.claim for lane in self._lanes])

    def _claims(self, success: _Success) -> list[Claim]:
        return [lane.claim for lane in self._lanes if lane.success == success]

    @contextmanager
    def given_back_if_it_fails(self) -> Iterator[None]:
        """Take the attempt back if an outage, or a server that is too busy, prevents the check."""
        try:
            yield
        except (Busy, StoreError):
            with suppress(StoreError):  # what has to be told is what went wrong first
                self.give_back()
            raise


class Lanes:
    """The lanes of one `Auth`. All methods raise `Throttled` and `StoreUnavailable`."""

    def __init__(self, throttle: Throttle | None) -> None:
        if throttle is not None and not isinstance(throttle, Throttle):
            raise ConfigError(
                f"throttle={shown_argument(throttle)}: write throttle=Throttle(account=Rate(30, 10)), or None."
            )
        if throttle is None or (throttle.client, throttle.pair, throttle.account) == (None, None, None):
            _logger.warning(_OFF, "None" if throttle is None else "Throttle(client=None, pair=None, account=None)")
        self._rates = throttle or Throttle(None, None, None, None, None, None)
        self._refusals = Rarely()

    def enter(self, where: Where, name: str, device: bytes | None) -> Attempt:
        """Try a password. `device` is what the account knows this browser by, if it does."""
        if device is None or self._rates.device is None:
            return self._entered(where, name, self._of_anybody(where, name))
        browser, buckets = device.hex(), _buckets(where)
        shown = f"device lane of browser {browser[:_SHOWN]}"
        own = _lane(where, "device", self._rates.device, name, browser, shown=shown)
        shortage = buckets.take([own.claim])
        if shortage is None:
            return Attempt(buckets, [own])
        return self._entered(where, name, self._of_anybody(where, name), before=_Emptied(own, shortage))

    def _of_anybody(self, where: Where, name: str) -> list[_Lane]:
        client, rates, lanes = _client_of(where), self._rates, []
        if client is not None and rates.client is not None:
            lanes.append(_lane(where, "client", rates.client, client, shown=f"client lane of {_shown(client)}"))
        if client is not None and rates.pair is not None:
            shown = f"lane of this account and {_shown(client)}"
            lanes.append(_lane(where, "pair", rates.pair, name, client, shown=shown, success="refills the lane"))
        if rates.account is not None:
            lanes.append(_lane(where, "account", rates.account, name, shown="account lane", success="gives it back"))
        return lanes

    def enter_registration(self, where: Where) -> Attempt:
        """Register an account."""
        client, rate = _client_of(where), self._rates.register
        if client is None or rate is None:
            return Attempt(None, [])
        return self._entered(
            where, None, [_lane(where, "register", rate, client, shown=f"register lane of {_shown(client)}")]
        )

    def enter_reset(self, where: Where, name: str) -> Attempt:
        """Ask for a mail because of a forgotten password."""
        client, rate, lanes = _client_of(where), self._rates.reset, []
        if rate is not None:
            if client is not None:
                lanes.append(_lane(where, "reset of client", rate, client, shown=f"reset lane of {_shown(client)}"))
            lanes.append(_lane(where, "reset of account", rate, name, shown="reset lane of this account"))
        return self._entered(where, name, lanes)

    def _entered(self, where: Where, name: str | None, lanes: list[_Lane], before: _Emptied | None = None) -> Attempt:
        """The attempt, if all of these lanes let it through. `before` is a lane that did not, where one is enough."""
        if not lanes:
            return Attempt(None, [])
        buckets = _buckets(where)
        shortage = buckets.take([lane.claim for lane in lanes])
        if shortage is not None:
            refused = next(lane for lane in lanes if lane.claim is shortage.claim)
            self._refuse(where, name, _Emptied(refused, shortage), before)
        return Attempt(buckets, lanes)

    def _refuse(self, where: Where, name: str | None, emptied: _Emptied, before: _Emptied | None) -> NoReturn:
        wait = emptied.shortage.wait if before is None else min(emptied.shortage.wait, before.shortage.wait)
        seconds = max(1, math.ceil(wait / 1000))
        if count := self._refusals.count(emptied.lane.claim.id, where.now()):
            # A digest also for an account that exists: looking that up is what must not happen here.
            account = None if name is None else where.manager._account_digest(name)
            lanes = emptied.lane.told if before is None else f"{emptied.lane.told}, after {before.lane.told}"
            where.emit("login.throttled", account=account, detail=_detail(lanes, seconds, count))
        raise Throttled(retry_after=seconds)


def _buckets(where: Where) -> Buckets:
    return Buckets(where.manager._site.shelf("throttle"), where.now() * 1000)


def _lane(where: Where, lane: str, rate: Rate, *about: str, shown: str, success: _Success = "keeps its token") -> _Lane:
    return _Lane(Claim(where.manager._site.lane_id(lane, *about), rate), shown, success)


def _shown(client: str) -> str:
    """A client in an event. A function of the application's may call it anything."""
    return ascii(client)[1:-1]


def _client_of(where: Where) -> str | None:
    """Who is asking; None if that is not known. Then attempts are counted by account alone."""
    client = network_of(where.client_address)
    if client is None:
        where.warn_of_hidden_clients()
    if is_list(where.client_address):
        where.warn_of_client_list()
    return client


def _detail(lanes: str, seconds: int, count: int) -> str:
    more = "" if count == 1 else f"; {count - 1} refused in silence since this was last told"
    return f"{lanes}; wait {seconds} s{more}"
