"""The life of a response on real servers: what goes over the wire, and what is in the store afterwards.

`test_wsgi.py` says the same of WSGI itself, for a server made of a few lines. This is about the servers there are.
docs/servers.md says in a table which of these tests each server passes, and what some cannot do.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from tests.support.probe import FILE_SIZE
from tests.support.servers import KINDS, Answer, Server, eventually, running

#: What some servers cannot do, by check and server, and why.
ONE_PROCESS = dict.fromkeys(["wsgiref", "waitress", "cheroot"], "one process")
CANNOT = {
    "test_list_or_file_reaches_the_server_as_it_is": {"cheroot": "no wrapper", "uWSGI": "does not show"},
    "test_form_that_is_cut_off_changes_nothing": {"waitress": "reads it first"},
    "test_every_process_counts": ONE_PROCESS,
    "test_reload_amid_requests_loses_none": ONE_PROCESS,
}

#: Some close the connection where others send a 500. A proxy in front of them answers with a 502.
SILENT = {"cheroot": {"fail_in_generator"}, "uWSGI": {"fail", "fail_in_generator"}}

TICKET = re.compile(r"sid=[A-Za-z0-9_-]{64}; Path=/; HttpOnly; SameSite=Lax")
TYPE = ("Content-Type", "text/plain")

#: In the log, if what a page wrote is not saved because it failed.
DROPPED = "the application raised an exception"

WRITTEN = {"n": 1}
WRITTEN_LATE = {"n": 1, "late": 2}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of each kind, for all tests of this module."""
    with running(request.param, tmp_path_factory.mktemp("server")) as server:
        yield server


def where_it_can(test: Callable[..., None]) -> Callable[..., None]:
    """For the servers that the table does not leave out."""
    able = [name for name in KINDS if name not in CANNOT[test.__name__]]
    chosen: Callable[..., None] = pytest.mark.parametrize("server", able, indirect=True)(test)
    return chosen


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


def test_first_chunk_does_not_wait_for_the_last(server: Server) -> None:
    """It arrives while the application still works on the rest, with what was written until then saved."""
    cookie = server.get("/count").cookie

    with server.answering(cookie) as finish:
        early = server.stored(cookie)
        answer = finish()

    assert early == WRITTEN
    assert (answer.status, answer.body) == ("200 OK", b"ab")
    assert eventually(lambda: server.stored(cookie) == WRITTEN_LATE)


# How it shows that the server got the very list or file: it knows the size, or sends the file in one go.
SIZE_KNOWN, FILE_SIZE_KNOWN = b"\r\nContent-Length: 2\r\n", b"\r\nContent-Length: %d\r\n" % FILE_SIZE
FILE_IN_ONE_GO = b"\r\n%X\r\n" % FILE_SIZE
GUNICORN = {"file": FILE_IN_ONE_GO, "function/file": FILE_IN_ONE_GO}
SIGNS = {
    "wsgiref": {"a_list": SIZE_KNOWN},
    "waitress": {"a_list": SIZE_KNOWN, "file": FILE_SIZE_KNOWN, "function/file": FILE_SIZE_KNOWN},
    "gunicorn sync": GUNICORN,
    "gunicorn gthread": GUNICORN,
    "gunicorn gevent": GUNICORN,
    "mod_wsgi": {"file": FILE_SIZE_KNOWN, "function/file": FILE_SIZE_KNOWN},
}


@where_it_can
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
    """The server answers with its own 500, or not at all; there is no cookie, and no session."""
    before = server.ids()

    answer = failure(server, page)

    assert answer is None or (answer.status, answer.set_cookies) == ("500 Internal Server Error", [])
    assert server.ids() == before


def test_error_before_the_first_byte_leaves_the_session_as_it_was(server: Server) -> None:
    """What the page wrote before it failed is dropped, and the cookie stays good."""
    cookie = server.get("/count").cookie
    server.get("/count", cookie)

    answer = failure(server, "fail", cookie)

    assert answer is None or (answer.status, answer.set_cookies) == ("500 Internal Server Error", [])
    assert server.stored(cookie) == {"n": 2}


def failure(server: Server, page: str, cookie: str = "") -> Answer | None:
    """What the server makes of an exception. None: it closes the connection, which those in `SILENT` do."""
    if page not in SILENT.get(server.name, ()):
        return server.get(f"/{page}", cookie)
    with pytest.raises(RemoteDisconnected):
        server.get(f"/{page}", cookie)
    return None


def test_client_that_hangs_up_loses_nothing(server: Server) -> None:
    """The server closes the body when it notices; what was done until then, and in `finally`, is saved."""
    cookie = server.get("/count").cookie

    server.hang_up("/endless", cookie)

    assert eventually(lambda: server.stored(cookie) == WRITTEN_LATE)


@where_it_can
def test_form_that_is_cut_off_changes_nothing(server: Server) -> None:
    """The application notices when it reads; what it wrote before that is dropped, and the cookie stays good."""
    cookie = server.get("/count").cookie
    server.get("/count", cookie)
    dropped = server.log.count(DROPPED)

    server.cut_off("/upload", cookie)

    assert eventually(lambda: server.log.count(DROPPED) > dropped)
    assert server.stored(cookie) == {"n": 2}


def test_passwords_are_hashed_whatever_the_server_makes_of_threads(server: Server) -> None:
    """The threads that do it are the library's own, and under gevent they are none. Several wait for their turn."""
    with ThreadPoolExecutor() as visitors:
        answers = list(visitors.map(server.get, ["/password"] * 4))

    assert [(answer.status, answer.body) for answer in answers] == [("200 OK", b"True")] * 4


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
    head, end, body = server.raw("/outage/count", method="HEAD").partition(b"\r\n\r\n")

    assert head.splitlines()[0].endswith(b" 503 Service Unavailable")
    assert (end, body) == (b"\r\n\r\n", b"")


def test_outage_logs_nobody_out(server: Server) -> None:
    """After it, the session is what it was before."""
    cookie = server.get("/count").cookie
    server.get("/outage/count", cookie)

    assert server.get("/count", cookie).set_cookies == []
    assert server.stored(cookie) == {"n": 2}


# Several processes


@contextmanager
def crowd(server: Server, cookies: Iterable[str]) -> Iterator[list[str | None]]:
    """Visitors who come again and again until the block ends. Gives which process served each visit; all must count."""
    is_over, served = threading.Event(), list[str | None]()

    def visit(cookie: str) -> list[str]:
        visits = []
        while not is_over.is_set():
            answer = server.get("/count", cookie)
            assert (answer.status, answer.body, answer.set_cookies) == ("200 OK", b"counted", [])
            served.append(answer.header("X-Worker"))
            visits.append(cookie)
        return visits

    with ThreadPoolExecutor(VISITORS) as pool:
        visitors = [pool.submit(visit, cookie) for cookie in cookies]
        try:
            yield served
        finally:
            is_over.set()
    visits = Counter(cookie for visitor in visitors for cookie in visitor.result())
    assert {cookie: server.stored(cookie) for cookie in visits} == {cookie: {"n": n} for cookie, n in visits.items()}


def visitors_of(server: Server) -> list[str]:
    """Cookies of people who are logged in, one of whom has four windows open."""
    busy, *others = ["=".join(server.manager.login_cookie(name)) for name in NAMES]
    return [busy, busy, busy, busy, *others]


NAMES = ["Ada", "Grace", "Hedy", "Mary"]
VISITORS, VISITS = len(NAMES) + 3, 300


@where_it_can
def test_every_process_counts(server: Server, tmp_path: Path) -> None:
    """Two processes, forked with the application loaded and its file open where the server can: no visit is lost."""
    with running(server.name, tmp_path, *KINDS[server.name].preload, opens=True) as site:
        with crowd(site, visitors_of(site)) as served:
            assert eventually(lambda: len(served) >= VISITS and len(set(served)) == 2)

        assert [len(site.manager.of(username=name)) for name in NAMES] == [1] * len(NAMES)


def test_uwsgi_that_forks_without_telling_python_is_refused(tmp_path: Path) -> None:
    """If the file is open when it forks, its processes would write without a lock. The log says what to do."""
    with running("uWSGI", tmp_path, opens=True) as site:
        assert site.get("/count").status == "503 Service Unavailable"
        assert "start uWSGI with --lazy-apps or --py-call-uwsgi-fork-hooks" in site.log

    with running("uWSGI", tmp_path, "--lazy-apps", "--processes=1", opens=True) as site:
        assert site.get("/count").status == "200 OK"


@where_it_can
def test_reload_amid_requests_loses_none(server: Server, tmp_path: Path) -> None:
    """While its processes are replaced, whoever asks is answered, and nobody is logged out. Who is waiting gets all."""
    with running(server.name, tmp_path) as site:
        *cookies, waiting = visitors_of(site)
        with crowd(site, cookies) as served:
            assert eventually(lambda: len(set(served)) == 2)
            with site.answering(waiting) as finish:
                site.reload()
                answer = finish()
            assert eventually(lambda: len(set(served)) == 4)

        assert (answer.status, answer.body) == ("200 OK", b"ab")
        assert eventually(lambda: site.stored(waiting) == WRITTEN_LATE)
        assert [len(site.manager.of(username=name)) for name in NAMES] == [1] * len(NAMES)
