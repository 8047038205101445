"""The life of a response on real servers: what goes over the wire, and what is in the store afterwards.

`test_wsgi.py` says the same of WSGI itself, for a server made of a few lines. This is about the servers there are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.probe import FILE_SIZE
from tests.support.servers import COMMANDS, Answer, Server, ask, eventually, running

SERVERS = ["wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread"]

TICKET = re.compile(r"sid=[A-Za-z0-9_-]{64}; Path=/; HttpOnly; SameSite=Lax")
TYPE = ("Content-Type", "text/plain")

WRITTEN = {"n": 1}
WRITTEN_LATE = {"n": 1, "late": 2}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of each kind, for all tests of this module."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


def headers_beside_cookie(answer: Answer) -> list[tuple[str, str]]:
    """All headers but the one Set-Cookie, once that is as it should be."""
    (set_cookie,) = answer.set_cookies
    assert TICKET.fullmatch(set_cookie)
    return [(name, value) for name, value in answer.headers if name != "Set-Cookie"]


NEW_SESSION = [("Cache-Control", "no-store"), TYPE, ("Vary", "Cookie")]
NEW_SESSION_WITHOUT_BODY = [header for header in NEW_SESSION if header != TYPE]

# page: status, body, what is in the session then
ANSWERS = {
    "a_list": ("200 OK", b"ab", WRITTEN),
    "generator": ("200 OK", b"ab", WRITTEN_LATE),
    "empty_first": ("200 OK", b"ab", WRITTEN_LATE),
    "no_chunk": ("200 OK", b"", WRITTEN),
    "write": ("200 OK", b"ab", WRITTEN_LATE),
    "no_content": ("204 No Content", b"", WRITTEN),
    "not_modified": ("304 Not Modified", b"", WRITTEN),
    "file": ("200 OK", b"x" * FILE_SIZE, WRITTEN),
    "function/file": ("200 OK", b"x" * FILE_SIZE, WRITTEN),
    "restart": ("409 Conflict", b"ab", WRITTEN),
}


@pytest.mark.parametrize("page", ANSWERS)
def test_answer_arrives_whole_with_its_cookie_and_is_saved(server: Server, page: str) -> None:
    """Status, body and headers are the application's and the session's, once each; early and late writes are saved."""
    status, body, data = ANSWERS[page]

    answer = server.get(f"/{page}")

    assert (answer.status, answer.body) == (status, body)
    assert headers_beside_cookie(answer) == (NEW_SESSION if status[:3] in ("200", "409") else NEW_SESSION_WITHOUT_BODY)
    assert eventually(lambda: server.stored(answer.cookie) == data)


# How it shows that the server got the very list or file: it knows the size, or sends the file in one go.
SIZE_KNOWN, FILE_SIZE_KNOWN = b"\r\nContent-Length: 2\r\n", b"\r\nContent-Length: %d\r\n" % FILE_SIZE
FILE_IN_ONE_GO = b"\r\n%X\r\n" % FILE_SIZE
SIGNS = {
    "wsgiref": {"a_list": SIZE_KNOWN},
    "waitress": {"a_list": SIZE_KNOWN, "file": FILE_SIZE_KNOWN, "function/file": FILE_SIZE_KNOWN},
    "gunicorn-sync": {"file": FILE_IN_ONE_GO, "function/file": FILE_IN_ONE_GO},
    "gunicorn-gthread": {"file": FILE_IN_ONE_GO, "function/file": FILE_IN_ONE_GO},
}


def test_list_or_file_reaches_the_server_as_it_is(server: Server) -> None:
    """What a server does for lists of one chunk, and for files of its own wrapper, it does."""
    signs = SIGNS[server.name]

    assert [page for page, sign in signs.items() if sign not in server.raw(f"/{page}")] == []


@pytest.mark.parametrize("page", ["a_list", "generator", "no_chunk", "write", "file", "function/file"])
def test_head_has_the_headers_and_is_saved(server: Server, page: str) -> None:
    """HEAD is answered like GET without the body, which some servers then never ask for."""
    answer = server.get(f"/{page}", method="HEAD")

    assert (answer.status, answer.body) == ("200 OK", b"")
    assert headers_beside_cookie(answer) == NEW_SESSION
    assert eventually(lambda: server.stored(answer.cookie) == ANSWERS[page][2])


@pytest.mark.parametrize("page", ["restart_late", "fail_late"])
def test_error_after_the_first_byte_breaks_off(server: Server, page: str) -> None:
    """The cookie is out, and what was saved with it stays; what came after it and before the error is not saved."""
    answer = server.get(f"/{page}")

    assert (answer.status, answer.body) == ("200 OK", b"a")
    assert headers_beside_cookie(answer) == NEW_SESSION
    assert server.stored(answer.cookie) == WRITTEN


@pytest.mark.parametrize("page", ["fail", "fail_in_generator"])
def test_error_before_the_first_byte_saves_nothing(server: Server, page: str) -> None:
    """The server answers with its own 500; there is no cookie, and no session."""
    before = server.ids()

    answer = server.get(f"/{page}")

    assert answer.status == "500 Internal Server Error"
    assert answer.set_cookies == []
    assert server.ids() == before


def test_error_before_the_first_byte_leaves_the_session_as_it_was(server: Server) -> None:
    """What the page wrote before it failed is dropped, and the cookie stays good."""
    cookie = server.get("/count").cookie
    server.get("/count", cookie)

    answer = server.get("/fail", cookie)

    assert (answer.status, answer.set_cookies) == ("500 Internal Server Error", [])
    assert server.stored(cookie) == {"n": 2}


def test_client_that_hangs_up_loses_nothing(server: Server) -> None:
    """The server closes the body when it notices; what was done until then, and in `finally`, is saved."""
    cookie = server.get("/count").cookie

    server.hang_up("/endless", cookie)

    assert eventually(lambda: server.stored(cookie) == WRITTEN_LATE)


def test_later_requests_send_no_second_cookie(server: Server) -> None:
    """A session that is there is changed without a new cookie, and the answer is private to the visitor."""
    cookie = server.get("/count").cookie

    answer = server.get("/generator", cookie)

    assert answer.headers == [("Cache-Control", "private, no-cache"), TYPE, ("Vary", "Cookie")]
    assert eventually(lambda: server.stored(cookie) == WRITTEN_LATE)


def test_untouched_page_is_left_alone(server: Server) -> None:
    """No header is added, with a cookie or without, while the store is there or gone."""
    cookie = server.get("/count").cookie

    answers = [server.get(path, sent) for path in ("/untouched", "/outage/untouched") for sent in ("", cookie)]

    assert {(answer.status, answer.body, *answer.headers) for answer in answers} == {("200 OK", b"same for all", TYPE)}


# Outage

UNAVAILABLE = [
    ("Cache-Control", "no-store"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Retry-After", "5"),
    ("Vary", "Cookie"),
]


@pytest.mark.parametrize("page", ["count", "swallow", "generator", "write", "file", "no_content"])
@pytest.mark.parametrize("visitor", ["known", "new"])
def test_outage_is_a_503(server: Server, page: str, visitor: str) -> None:
    """Whatever the application made of it: try again later, nothing of the application's, and no cookie."""
    cookie = server.get("/count").cookie if visitor == "known" else ""

    answer = server.get(f"/outage/{page}", cookie)

    assert answer.status == "503 Service Unavailable"
    assert answer.headers == UNAVAILABLE
    assert answer.body == b"The service is unavailable for a moment. Please try again.\n"


def test_outage_to_head_has_no_body(server: Server) -> None:
    """Not one byte of it, else the next answer on the connection would begin with it."""
    with closing(server.connect()) as connection:
        answer = ask(connection, "/outage/count", method="HEAD")
        after = ask(connection, "/untouched")

    assert (answer.status, answer.headers, answer.body) == ("503 Service Unavailable", UNAVAILABLE, b"")
    assert (after.status, after.body) == ("200 OK", b"same for all")


def test_outage_logs_nobody_out(server: Server) -> None:
    """After it, the session is what it was before."""
    cookie = server.get("/count").cookie
    server.get("/outage/count", cookie)

    assert server.get("/count", cookie).set_cookies == []
    assert server.stored(cookie) == {"n": 2}


# Several processes

VISITORS, VISITS = 8, 20


def test_preloaded_store_works_in_every_worker(tmp_path: Path) -> None:
    """gunicorn builds the application, opens its file, and forks twice: every visit counts, whoever serves it."""
    workers: set[str | None] = set()

    def visit(cookie: str) -> None:
        for _ in range(VISITS):
            for each in (cookie, common):
                answer = server.get("/count", each)
                assert (answer.status, answer.set_cookies) == ("200 OK", [])
                workers.add(answer.header("X-Worker"))

    with running("gunicorn-preload", tmp_path) as server:
        common, *own = [server.get("/count").cookie for _ in range(VISITORS + 1)]
        threads = [threading.Thread(target=visit, args=[cookie]) for cookie in own]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [server.stored(cookie) for cookie in own] == [{"n": 1 + VISITS}] * VISITORS
        assert server.stored(common) == {"n": 1 + VISITORS * VISITS}
        assert len(workers) == 2
        assert len(server.ids()) == VISITORS + 1


def test_every_server_is_tested() -> None:
    """A server that can be run, is."""
    assert {*SERVERS, "gunicorn-preload"} == set(COMMANDS)
