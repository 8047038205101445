"""What is sent to people: after the answer, by a thread that a hanging mail server cannot make a burden of."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest

import dev
from sessionware import ConfigError
from sessionware._hidden import Hidden, HiddenText
from sessionware._types import Environ
from sessionware.auth import Auth, User, outbox
from sessionware.auth.outbox import Job, Letter, Outbox
from sessionware.auth.where import Where
from tests.support.auth_kit import PASSWORD, AuthSite

Mail = tuple[str, User, str | None]


class Site(AuthSite):
    """With Ada, and with a `send` of the test's."""

    def __init__(self, send: Callable[..., object]) -> None:
        super().__init__()
        self.auth = Auth(self.users, hasher=self.hasher, send=send)
        self.ada = self.register("Ada")

    def ask(self) -> None:
        self.browser().do(lambda environ: self.auth.request_reset(environ, "Ada"))

    def wait(self) -> None:
        assert self.auth._outbox.join(10)


def outbox_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sessionware-outbox"]


def test_it_is_called_in_a_thread_after_the_answer() -> None:
    """So a mail server may take its time. The visitor does not wait, and learns nothing from the time."""
    answered, sent = threading.Event(), SimpleQueue[object]()

    def send(*mail: object) -> None:
        sent.put((answered.wait(10), threading.current_thread().daemon))

    site = Site(send)
    site.ask()
    answered.set()
    site.wait()

    assert sent.get() == (True, True)


def test_nothing_is_looked_up_before_the_answer_is_out() -> None:
    """The thread lets a moment pass, or its work would slow down the very request that it is to be hidden from."""
    site = Site(lambda *mail: None)
    site.users.taken()
    site.ask()
    asked = site.users.taken()
    site.wait()

    assert (asked, site.users.taken()) == ([], ["find_by_key"])


def test_messages_are_sent_in_order() -> None:
    """One at a time."""
    sent: SimpleQueue[Mail] = SimpleQueue()
    site = Site(lambda *mail: sent.put(mail))
    browser = site.logged_in("Ada")
    site.wait()
    assert sent.get()[0] == "new_device"

    site.ask()
    browser.do(lambda environ: site.auth.change_password(environ, PASSWORD, "wrong mule charger paperclip"))
    site.wait()

    assert [sent.get()[0], sent.get()[0]] == ["reset", "password_changed"]


def test_change_of_the_password_is_told_to_its_owner() -> None:
    """With the account as it is by then, and without a path (ASVS 5.0 6.3.7)."""
    sent: SimpleQueue[Mail] = SimpleQueue()
    site = Site(lambda *mail: sent.put(mail))

    browser = site.logged_in("Ada")
    site.wait()
    assert sent.get()[0] == "new_device"
    browser.do(lambda environ: site.auth.change_password(environ, PASSWORD, "wrong mule charger paperclip"))
    site.wait()

    assert sent.get() == ("password_changed", site.users.behind.get(site.ada.id), None)


def fail(purpose: str, user: User, path: str | None) -> None:
    raise OSError(f"could not connect for {user.username}: {path}")


def test_what_it_raises_is_an_event_without_the_message() -> None:
    """Which may quote the address or the link. Class and place are enough to find it."""
    site = Site(fail)
    site.ask()
    site.wait()

    (event,) = site.told("send.failed")
    assert (event.user_id, event.account) == (site.ada.id, "ada")
    assert event.detail.startswith("reset: OSError in fail, line ")
    assert "token" not in repr(site.events)


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), SystemExit(), KeyboardInterrupt()], ids=repr)
def test_one_that_fails_does_not_stop_the_next(error: BaseException) -> None:
    """The thread goes on, whatever was raised in it."""
    sent, errors = SimpleQueue[object](), [error]

    def send(*mail: object) -> None:
        if errors:
            raise errors.pop()
        sent.put(mail)

    site = Site(send)
    site.ask()
    site.ask()
    site.wait()

    assert sent.qsize() == 1
    assert len(site.told("send.failed")) == 1


def test_async_function_is_refused_when_the_auth_is_built() -> None:
    """Nobody would await it, so no mail would ever be sent."""

    async def send(purpose: str, user: User, path: str | None) -> None: ...

    for wrong in (send, "smtp.example", 7):
        with pytest.raises(ConfigError, match=r"send=.*plain function"):
            Auth(AuthSite().users, send=wrong)  # type: ignore[arg-type]


def test_one_that_is_hidden_is_told() -> None:
    """Such as a partial, or an object that is called."""

    async def send(*mail: object) -> None: ...

    site = Site(lambda *mail: send(*mail))
    site.ask()
    site.wait()

    (event,) = site.told("send.failed")
    assert event.detail == "reset: send is async; pass a plain function"


def test_full_queue_drops_what_comes_and_says_so() -> None:
    """A mail server that hangs must not take the memory of the site. It is told once a minute, with how many."""
    site, go = AuthSite(), threading.Event()
    sent: SimpleQueue[str] = SimpleQueue()

    def send(purpose: str, user: User, path: str | None) -> None:
        sent.put(user.username)
        assert go.wait(10)

    queue = Outbox(send, room=3, pause=0)
    where = Where(site.manager, "192.0.2.7")
    users = [User(str(number), str(number), str(number), None) for number in range(9)]
    queue.notify(where, "new_device", users[0])
    assert sent.get(timeout=10) == "0"  # the thread is busy with it; the others have to wait
    for user in users[1:]:
        queue.notify(where, "new_device", user)
    site.clock.tick(60)
    queue.notify(where, "new_device", users[0])
    go.set()
    assert queue.join(10)

    assert [sent.get() for _ in range(sent.qsize())] == ["1", "2", "3"]
    first, second = site.told("send.dropped")
    assert first.detail == "new_device: 3 messages wait already. Does send hang?"
    assert second.detail == f"{first.detail}; 4 more since this was last told"
    assert first.client_address == "192.0.2.7"


def test_strangers_leave_room_for_news() -> None:
    """Whoever has taken over an account would otherwise fill the queue before he changes its password."""
    site, go = AuthSite(), threading.Event()
    sent: SimpleQueue[str] = SimpleQueue()

    def send(purpose: str, user: User, path: str | None) -> None:
        sent.put(purpose)
        assert go.wait(10)

    queue = Outbox(send, room=20, pause=0)
    where, ada = Where(site.manager), User("1", "ada", "Ada", None)
    queue.notify(where, "new_device", ada)
    assert sent.get(timeout=10) == "new_device"  # the thread is busy with it; the others have to wait
    for _ in range(30):
        queue.put(Job(where, "reset", lambda: Letter("reset", ada)))
    for _ in range(2):
        queue.notify(where, "password_changed", ada)
    go.set()
    assert queue.join(10)

    assert [sent.get() for _ in range(sent.qsize())] == ["reset"] * 18 + ["password_changed"] * 2


def test_jobs_that_wait_hold_no_session_and_no_long_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may wait for a mail server that hangs, a thousand of them, and strangers choose what is in both."""
    jobs, site = list[Job](), Site(lambda *mail: None)
    monkeypatch.setattr(site.auth._outbox, "put", jobs.append)
    browser = site.logged_in("Ada")

    def act(environ: Environ) -> None:
        site.auth.request_reset(environ, "x" * 5_000_000)
        site.auth.change_password(environ, PASSWORD, "another horse of quite another colour")

    browser.do(act)

    assert [job.where.session for job in jobs] == [None, None, None]
    kept = [cell.cell_contents for job in jobs for cell in job.write.__closure__ or ()]
    assert [held.session for held in kept if isinstance(held, Where)] == [None]
    assert max(len(held.value) for held in kept if isinstance(held, Hidden)) < 200


def test_system_without_threads_drops_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes on; and the next one tries again."""
    sent: SimpleQueue[Mail] = SimpleQueue()
    site = Site(lambda *mail: sent.put(mail))

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        site.ask()
    site.ask()
    site.wait()

    (event,) = site.told("send.dropped")
    assert "no thread could be started" in event.detail
    assert sent.qsize() == 1


def test_no_thread_is_left_when_there_is_nothing_to_do() -> None:
    """Thousands of applications in one test run leave nothing behind."""
    before = len(outbox_threads())
    for _ in range(20):
        site = Site(lambda *mail: None)
        site.ask()
        site.wait()

    for thread in outbox_threads():
        thread.join(10)
    assert len(outbox_threads()) <= before
    assert len(outbox._working) <= before


def test_without_send_nothing_is_queued() -> None:
    """And no thread is started for it."""
    nothing = Outbox(None)
    nothing.put(Job(Where(AuthSite().manager), "reset", partial(pytest.fail, "there is nobody to send it")))

    assert (nothing.is_open, nothing.join(0)) == (False, True)


def test_letter_does_not_show_its_link() -> None:
    """Where an error reporter prints the variables of a frame."""
    letter = Letter("reset", User("1", "ada", "Ada", None), HiddenText("/reset?token=abc"))

    assert "abc" not in repr(letter)


# Processes


def run_script(script: str, *arguments: str) -> str:
    """What it prints. `arguments` are the interpreter's, if it is to run something else."""
    command = [sys.executable, *(arguments or ("-c", PREPARED + textwrap.dedent(script)))]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=dev.ROOT, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return result.stdout


#: `ask()` asks for a link, in a site with Ada whose `send` is `deliver`.
PREPARED = """
import logging, os, threading, time
from sessionware import SessionManager
from sessionware.auth import Auth, MemoryUsers
logging.getLogger("sessionware").addHandler(logging.NullHandler())
def on_event(event):
    if event.name.startswith("send."):
        print(event.name, event.detail, flush=True)
manager = SessionManager("a secret of this script alone: 3f9c1a7e5b2d8064", on_event=on_event)
users = MemoryUsers()
users.add("ada", "Ada", "!", {})
def deliver(purpose, user, path):
    print("sent", purpose, user.username, flush=True)
auth = Auth(users, send=lambda *mail: deliver(*mail))
def ask():
    environ = {"REQUEST_METHOD": "POST", "wsgi.url_scheme": "http"}
    opened = manager.open(environ)
    auth.request_reset(environ, "Ada")
    opened.finish(); opened.close()
"""


def test_process_that_ends_sends_what_waits() -> None:
    """At once, without the pause."""
    assert run_script("ask(); ask()") == "sent reset Ada\nsent reset Ada\n"


def test_process_that_ends_does_not_wait_long_for_a_server_that_hangs() -> None:
    """What did not get its turn is told."""
    script = """
    import sessionware.auth.outbox as outbox
    outbox._LAST_SECONDS = 0.3
    def deliver(purpose, user, path):
        print("hangs", flush=True)
        time.sleep(3600)
    ask(); ask()
    """
    assert run_script(script).splitlines() == [
        "hangs",
        "send.dropped reset: the process ended before it was its turn",
    ]


def test_process_that_ends_tells_once_what_it_leaves() -> None:
    """By purpose, with the number."""
    script = """
    import sessionware.auth.outbox as outbox
    outbox._LAST_SECONDS = 0.3
    def deliver(purpose, user, path):
        time.sleep(3600)
    for _ in range(5): ask()
    """
    assert run_script(script) == "send.dropped reset: the process ended before it was its turn, nor that of 3 more\n"


def test_child_process_sends_its_own_and_not_its_parents() -> None:
    """Nobody gets a mail twice, and no lock that the parent's thread held stops the child."""
    script = """
    go = threading.Event()
    def deliver(purpose, user, path):
        go.wait()
        print("sent by", "child" if os.getpid() != parent else "parent", flush=True)
    parent = os.getpid()
    ask(); ask()
    child = os.fork()
    go.set()
    if child == 0:
        ask()
        assert auth._outbox.join(10)
        os._exit(0)
    os.waitpid(child, 0)
    assert auth._outbox.join(10)
    """
    assert sorted(run_script(script).splitlines()) == ["sent by child", "sent by parent", "sent by parent"]


def test_greenlets_send_too(tmp_path: Path) -> None:
    """Under gevent's monkey patching the thread is one of them, and others go on meanwhile."""
    pytest.importorskip("gevent")
    script = tmp_path / "site.py"
    script.write_text(
        PREPARED
        + textwrap.dedent(
            """
            import gevent
            order, is_sending, go_on = [], threading.Event(), threading.Event()
            def deliver(purpose, user, path):
                order.append("sending")
                is_sending.set()
                go_on.wait(10)
                order.append("sent")
            ask()
            other = gevent.spawn(lambda: [is_sending.wait(), order.append("another request"), go_on.set()])
            assert auth._outbox.join(10)
            other.join()
            print(order)
            """
        )
    )
    output = run_script("", "-m", "gevent.monkey", os.fspath(script))

    assert output == "['sending', 'another request', 'sent']\n"
