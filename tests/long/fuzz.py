"""Random Cookie headers, stored rows and form bodies, thrown at a whole application.

    python3 dev.py fuzz 1000000

Each case takes something that is right and damages it, or makes it up. No answer may be a server error, and a cookie
that does not open may not reach the store. Every case follows from the seed and its number, so that it can be repeated.
"""

from __future__ import annotations

import io
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sessionware import MemoryStore, Record, SessionMiddleware, get_session
from sessionware._core.tickets import open_ticket
from sessionware.auth import Argon2Hasher, Auth, AuthPages, MemoryUsers
from tests.support.fixed import SECRET, Clock
from tests.support.wsgi import Started

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

COOKIE_BYTES = b'sid=_-;, \t"\x00\xa0\xffAz09%__Host-'
FORM_BYTES = b"username=&password%+;\x00\xff\r\n/\\09azAZ"
PASSWORD = "seven quiet lanterns drift"


class Watched(MemoryStore):
    """Counts the calls that reach it."""

    calls = 0

    def load(self, id: bytes, now: int) -> Record | None:
        self.calls += 1
        return super().load(id, now)


class Target:
    """An application with a session, accounts and pages, and one visitor who is logged in."""

    def __init__(self) -> None:
        self.store, self.clock = Watched(), Clock()
        hasher = Argon2Hasher(time_cost=1, memory_cost=8)
        auth = Auth(MemoryUsers(), hasher=hasher)
        self.middleware = SessionMiddleware(
            AuthPages(_hello, auth), SECRET, self.store, clock=self.clock, on_event=lambda event: None
        )
        form = urlencode({"username": "ada", "password": PASSWORD}).encode()
        self.request("/register", body=form)
        self.cookie = self.headers["Set-Cookie"].partition(";")[0].encode()
        (self.record,) = self.store.scan()

    def opens(self, value: str) -> bool:
        """Whether this is the value of a cookie that the site has sealed."""
        return open_ticket(self.middleware.manager._site.keys.plain_ticket, value) is not None

    def request(self, path: str, *, cookie: bytes = b"", body: bytes | None = None, length: int | None = None) -> int:
        """The status of the answer; `headers` are then its headers."""
        environ = {
            "REQUEST_METHOD": "GET" if body is None else "POST",
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body or b""),
            "HTTP_COOKIE": cookie.decode("latin-1"),
        }
        if body is not None:
            environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
            environ["CONTENT_LENGTH"] = str(len(body) if length is None else length)
        started = Started()
        b"".join(self.middleware(environ, started))
        self.headers = started.headers
        return int(started.status[:3])


def _hello(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    session = get_session(environ)
    session["n"] = session.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def damaged(chance: random.Random, right: bytes, alphabet: bytes) -> bytes:
    """Something right with a few bytes changed, taken out, put in, doubled or cut off."""
    made = bytearray(right)
    for _ in range(chance.randint(1, 4)):
        place, act = chance.randint(0, len(made)), chance.randint(0, 4)
        junk = bytes(chance.choice(alphabet) for _ in range(chance.randint(1, 8)))
        if act == 0:
            made[place : place + len(junk)] = junk
        elif act == 1:
            made[place:place] = junk
        elif act == 2:
            del made[place : place + chance.randint(1, 16)]
        elif act == 3:
            made += made[place : place + 80]
        else:
            made = made[:place] or bytearray(junk)
    return bytes(made)


def cookie_case(target: Target, chance: random.Random) -> str:
    """A damaged Cookie header. One that names no session of ours must not reach the store."""
    header = damaged(chance, target.cookie + b"; " * chance.randint(0, 1), COOKIE_BYTES)
    opens = any(
        target.opens(pair.strip(" \t").removeprefix("sid="))
        for pair in header.decode("latin-1").split(";")
        if pair.strip(" \t").startswith("sid=")
    )
    before = target.store.calls
    status = target.request("/", cookie=header)
    if not opens and target.store.calls != before:
        return "STORE CALL"
    return str(status)


def row_case(target: Target, chance: random.Random) -> str:
    """A record whose payload, owner, version or expiry is not what was stored."""
    payload = damaged(chance, target.record.payload, bytes(range(256)))
    choices = [
        target.record._replace(payload=payload),
        target.record._replace(owner=chance.choice([None, chance.randbytes(16)])),
        target.record._replace(version=chance.randint(1, 2**62)),
        target.record._replace(payload=chance.randbytes(chance.randint(0, 300))),
    ]
    target.store.delete(target.record.id)
    target.store.create(chance.choice(choices))
    return str(target.request("/", cookie=target.cookie))


def form_case(target: Target, chance: random.Random) -> str:
    """A damaged form to one of the pages, now and then with a wrong length."""
    fields = {"username": "ada", "password": PASSWORD, "next": chance.choice(["/", "//evil", "/a?b=ä"])}
    body = damaged(chance, urlencode(fields).encode(), FORM_BYTES)
    length = chance.randint(0, 30_000) if chance.random() < 0.1 else None
    status = target.request(chance.choice(["/login", "/register", "/logout"]), body=body, length=length)
    location = target.headers.get("Location", "/")
    return str(status) if location.startswith("/") and not location.startswith("//") else "AWAY"


CASES = (cookie_case, row_case, form_case)


def run(count: int, seed: int = 1) -> Counter[tuple[str, str]]:
    """How often each kind of case had each outcome. Raises whatever the application raises, and says for which case."""
    outcomes: Counter[tuple[str, str]] = Counter()
    target = Target()
    logging.getLogger("sessionware").setLevel(logging.CRITICAL)  # each case is told, and there are many
    for number in range(count):
        if number % 5_000 == 0:
            target = Target()  # what earlier cases stored would only take memory
        case = CASES[number % len(CASES)]
        try:
            outcome = case(target, random.Random(f"{seed} {number}"))
        except BaseException:
            print(f"case {number} of seed {seed} ({case.__name__})", file=sys.stderr)
            raise
        outcomes[case.__name__, outcome] += 1
    return outcomes


def bad(outcomes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The outcomes that must not be."""
    return [(case, outcome) for case, outcome in outcomes if not outcome.isdigit() or outcome.startswith("5")]


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    outcomes = run(count, seed)
    for (case, outcome), times in sorted(outcomes.items()):
        print(f"{case:12} {outcome:>10} {times:>9}")
    print(f"{count} cases of seed {seed}, {len(bad(outcomes))} kinds of bad outcome")
    sys.exit(1 if bad(outcomes) else 0)
