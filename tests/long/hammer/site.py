"""The site that the hammer beats: one small page for each thing that can be done to a session.

    export SESSIONWARE_TEST_HAMMER_STORE=sqlite:////tmp/sessions.db SESSION_SECRET=…
    gunicorn --bind fd://3 'tests.long.hammer.site:site()'

Each page saves by itself, with `commit()`, and then answers with what became of it, as JSON: whether the session is
there now (`is_new` is false then, and a write was kept), its handle, its user, and the events that the request told.
An answer that says "kept" was therefore saved before its first byte. A login also tells whether it joined another
one's session, and everything tells the session's epoch, because cookies of one epoch live and die together.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from sessionware import Event, Session, SessionManager, SessionMiddleware, StoreUnavailable, get_session
from sessionware.stores import open_store

Told = dict[str, Any]
Page = Callable[..., Told]

_heard = threading.local()


def add(session: Session, key: str) -> Told:
    """One more on a counter; tells how often it had to be computed again because another request got in between."""
    runs = 0

    def one_more(n: int) -> int:
        nonlocal runs
        runs += 1
        return n + 1

    session.modify(key, one_more, default=0)
    session.commit()
    return {"retries": runs - 1}


def put(session: Session, key: str, value: str) -> Told:
    session[key] = int(value)
    session.commit()
    return {}


def drop(session: Session, key: str) -> Told:
    """Take a key away; tells whether it was there, in a session that was."""
    had = session.is_new or key in session
    session.pop(key, None)
    session.commit()
    return {"had": had}


def read(session: Session) -> Told:
    return {"data": dict(session)}


def login(session: Session, name: str) -> Told:
    session.login(name)
    session.commit()
    return {"data": dict(session)}


def rotate(session: Session) -> Told:
    session.renew_token()
    session.commit()
    return {}


def logout(session: Session) -> Told:
    session.invalidate()
    return {"ended": [event.session_id for event in _heard.events if event.name == "session.ended"]}


PAGES: dict[str, Page] = {page.__name__: page for page in (add, put, drop, read, login, rotate, logout)}


def revoke(manager: SessionManager, name: str, linger: str) -> Told:
    """End every session of a user, as the owner index finds them."""
    ids = [info.id for info in manager.of(username=name)]
    time.sleep(int(linger) / 1000)
    for id in ids:
        manager.end(id)
    return {"ended": ids}


def visit(environ: dict[str, Any]) -> Told:
    """Look at the session, linger, do what the page does, and tell how the session stands afterwards."""
    session, fields = get_session(environ), dict(parse_qsl(environ["QUERY_STRING"]))
    session.get("")
    time.sleep(int(fields.pop("linger", 0)) / 1000)
    told = PAGES[environ["PATH_INFO"].strip("/")](session, **fields)
    standing = {"id": session.id, "is_new": session.is_new, "user": session.username, "epoch": epoch_of(session)}
    joined = any(event.name == "session.login" and event.detail.startswith("joined") for event in _heard.events)
    return {**standing, **told, "joined": joined, "events": [event.name for event in _heard.events]}


def epoch_of(session: Session) -> int:
    """How many tokens the session has had before those that fit now."""
    stored = session._transaction.stored
    return 0 if stored is None else stored.envelope.epoch


def hear(event: Event) -> None:
    getattr(_heard, "events", []).append(event)


def site() -> Callable[..., Iterable[bytes]]:
    """All pages, over the store that SESSIONWARE_TEST_HAMMER_STORE names."""
    logging.getLogger("sessionware").setLevel(logging.CRITICAL)  # there is much to tell, and the answers tell it

    def pages(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            if environ["PATH_INFO"] == "/revoke":
                told = revoke(middleware.manager, **dict(parse_qsl(environ["QUERY_STRING"])))
            else:
                told = visit(environ)
        except StoreUnavailable as error:
            _heard.outages = [str(error)]
            raise
        body = json.dumps(told).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    store = open_store(os.environ["SESSIONWARE_TEST_HAMMER_STORE"])
    middleware = SessionMiddleware(pages, os.environ["SESSION_SECRET"], store, on_event=hear)

    def told_outages(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Mark a 503 that is an outage, after which nobody knows what is stored."""
        _heard.events, _heard.outages = [], []

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            told = _heard.outages + [event.detail for event in _heard.events if event.name == "store.unavailable"]
            marks = [("X-Outage", text.encode("ascii", "replace").decode()) for text in told[:1]]
            return start_response(status, [*headers, *marks], *error)

        return middleware(environ, start)

    return told_outages
