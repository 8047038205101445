"""What there was before the requests of a pair: whether the browser had a session, and whose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._repr import shown_half_built
from ...auth.session_limit import WhenFull
from ...auth.users.base import User
from ..interleaving.hasher import PlainHasher
from ..interleaving.site import Request
from ..interleaving.visit import Visit
from .acts.accounts import login_by
from .acts.act import DAY, HOUR, OLD, Act
from .acts.data import flashes, modifies, nests, sets, sets_another
from .acts.forms import SAME_ORIGIN, shows_form


def opens_accounts(environ: dict[str, Any]) -> None:
    for name in ("ann", "bob"):
        user = User(id=name, key=name, username=name, password_hash=PlainHasher().hash(OLD))
        environ["testing.users"].put(user)


def begins(visit: Visit) -> None:
    for writes in (sets, sets_another, nests, modifies, flashes):
        writes(visit)


ACCOUNTS = Request("accounts", opens_accounts, browser="administrator")
BEGIN = Act("begin", begins)
FORM = Act("form of before", shows_form, environ=SAME_ORIGIN)
LOGIN = Act("log in", login_by("ann"))
PAGE = Act("page of before", shows_form, environ=SAME_ORIGIN)
ELSEWHERE = LOGIN.request("elsewhere", browser="other")

UNCONFIRMED = (ACCOUNTS, FORM.request(), BEGIN.request())
VISITOR = (*UNCONFIRMED, PAGE.request("second page"))
LOGGED_IN = (*VISITOR, LOGIN.request(), PAGE.request())


@shown_half_built
@dataclass(frozen=True)
class Context:
    """What there was before the requests, and who sends them."""

    name: str
    before: tuple[Request, ...]
    wait: int = 0
    """Seconds between that and the requests."""
    browsers: tuple[str, str] = ("hers", "hers")
    session_limit: int | None = None
    when_full: WhenFull = "end_oldest"


CONTEXTS = (
    Context("no cookie", UNCONFIRMED[:2]),
    Context("unconfirmed", UNCONFIRMED),
    Context("visitor", VISITOR),
    Context("just logged in", LOGGED_IN),
    Context("logged in", LOGGED_IN, wait=HOUR),
    Context("logged in, elsewhere too", (*LOGGED_IN, ELSEWHERE), wait=HOUR),
    Context("long gone", VISITOR, wait=15 * DAY),
    Context("two browsers", (*LOGGED_IN, ELSEWHERE), wait=HOUR, browsers=("hers", "other")),
    Context("two browsers, limit 1", LOGGED_IN, wait=HOUR, browsers=("hers", "other"), session_limit=1),
    Context(
        "two browsers, limit 1, refusing",
        LOGGED_IN,
        wait=HOUR,
        browsers=("hers", "other"),
        session_limit=1,
        when_full="refuse",
    ),
)
