"""Acts of requests behind which no person is, or that another site's page sends."""

from __future__ import annotations

from ...interleaving.site import PARTNER
from ...interleaving.visit import Visit, marks_in
from .act import Act
from .data import sets

CROSS_SITE = {"HTTP_SEC_FETCH_SITE": "cross-site"}
PASSIVE = {"HTTP_X_SESSION_PASSIVE": "1"}


def from_afar(visit: Visit) -> None:
    visit.says("is foreign")
    visit.sees()
    sets(visit)


def passively(visit: Visit) -> None:
    visit.says("is passive")
    sets(visit)


def logs_in_from_afar(visit: Visit) -> None:
    visit.says("is foreign")
    visit.session.username = "mallory"


def logs_out_from_afar(visit: Visit) -> None:
    visit.says("is foreign")
    visit.session.invalidate()


def without_a_person(visit: Visit) -> None:
    visit.says("is passive")
    visit.session.keep_alive = False
    visit.sees()


def prefetches(visit: Visit) -> None:
    visit.says("is passive")
    visit.says("peeks", "_flash_", tuple(marks_in(visit.session.pop_flash())))


def from_a_partner(visit: Visit) -> None:
    """The browser may have kept a cookie back, which must not be replaced."""
    visit.says("is without its cookie")
    visit.session["a"] = visit.mark()


OF_ORIGINS = (
    Act("foreign", from_afar, environ=CROSS_SITE),
    Act("foreign login", logs_in_from_afar, environ=CROSS_SITE),
    Act("foreign logout", logs_out_from_afar, environ=CROSS_SITE),
    Act("partner", sets, environ={**CROSS_SITE, "HTTP_ORIGIN": PARTNER}),
    Act(
        "partner, no cookie",
        from_a_partner,
        environ={**CROSS_SITE, "HTTP_ORIGIN": PARTNER},
        is_without_cookie=True,
    ),
    Act("passive", passively, environ=PASSIVE),
    Act("keep alive off", without_a_person),
    Act("prefetch", prefetches, environ={"HTTP_SEC_PURPOSE": "prefetch"}),
)
