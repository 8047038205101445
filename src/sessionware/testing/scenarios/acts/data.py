"""Acts on the data: read, write, in the middle and late, and with an error at the end."""

from __future__ import annotations

from ...._core.changes import REMOVED
from ...interleaving.site import Crash
from ...interleaving.visit import Visit, marks_in
from .act import Act


def reads(visit: Visit) -> None:
    visit.sees()


def does_nothing(_visit: Visit) -> None:
    pass


def sets(visit: Visit, key: str = "a") -> None:
    mark = visit.mark()
    visit.session[key] = mark
    visit.says("sets", key, mark)


def sets_another(visit: Visit) -> None:
    sets(visit, "b")


def nests(visit: Visit) -> None:
    mark = visit.mark()
    visit.session.setdefault("cart", []).append(mark)
    visit.says("sets", "cart", mark)


def deletes(visit: Visit) -> None:
    if "a" in visit.session:
        del visit.session["a"]
    visit.says("drops", "a")


def pops(visit: Visit) -> None:
    visit.session.pop("cart", None)
    visit.says("drops", "cart")


def clears(visit: Visit) -> None:
    visit.says("ends" if visit.session.username else "clears")
    visit.says("logs out", "if logged in")
    visit.session.clear()
    visit.says("clears")


def modifies(visit: Visit) -> None:
    mark = visit.mark()
    visit.session.modify("log", lambda log: [*log, mark], default=[])
    visit.says("adds", "log", mark)


def flashes(visit: Visit) -> None:
    mark = visit.mark()
    visit.session.flash(mark)
    visit.says("adds", "_flash_", mark)


def pops_flash(visit: Visit) -> None:
    shown = visit.session.pop_flash()
    visit.says("drops", "_flash_")
    visit.says("shows", "_flash_", tuple(marks_in(shown)))


def removes(visit: Visit) -> None:
    visit.session.modify("a", lambda _value: REMOVED, default=None)
    visit.says("modifies", "a")
    visit.says("drops", "a")


def updates(visit: Visit) -> None:
    one, other = visit.mark(), visit.mark()
    visit.session.update(a=one, c=other)
    visit.says("sets", "a", one)
    visit.says("sets", "c", other)


def peeks(visit: Visit) -> None:
    visit.says("shows", "_flash_", tuple(marks_in(visit.session.peek_flash())))


def reloads(visit: Visit) -> None:
    mark = visit.mark()
    visit.session["b"] = mark
    visit.session.reload()
    visit.sees()


def commits_in_the_middle(visit: Visit) -> None:
    sets(visit)
    visit.session.commit()
    visit.says("saves by hand")
    sets_another(visit)


def commits_and_crashes(visit: Visit) -> None:
    commits_in_the_middle(visit)
    visit.says("crashes")
    raise Crash("the application has a mistake in it")


def crashes(visit: Visit) -> None:
    sets(visit)
    visit.says("crashes")
    raise Crash("the application has a mistake in it")


def heads(visit: Visit) -> None:
    """Writes like any other request, but leaves messages where they are."""
    visit.says("peeks", "_flash_", tuple(marks_in(visit.session.pop_flash())))
    sets_another(visit)


FAILS = "500 Internal Server Error"

OF_DATA = (
    Act("read", reads),
    Act("set", sets),
    Act("set another", sets_another),
    Act("nest", nests),
    Act("delete", deletes),
    Act("pop", pops),
    Act("clear", clears),
    Act("modify", modifies),
    Act("flash", flashes),
    Act("pop flash", pops_flash),
    Act("update", updates),
    Act("remove", removes),
    Act("peek flash", peeks),
    Act("reload", reloads),
    Act("commit", commits_in_the_middle),
    Act("commit, 5xx", commits_in_the_middle, status=FAILS),
    Act("commit, crash", commits_and_crashes),
    Act("late read", does_nothing, late=reads),
    Act("late crash", sets, late=crashes),
    Act("late set", does_nothing, late=sets),
    Act("late modify", does_nothing, late=modifies),
    Act("5xx", sets, status=FAILS),
    Act("crash", crashes),
    Act("HEAD", heads, environ={"REQUEST_METHOD": "HEAD"}),
)
