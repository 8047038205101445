"""Acts on forms: their tokens, shown, checked and renewed."""

from __future__ import annotations

from ...interleaving.visit import Visit
from .act import Act

SAME_ORIGIN = {"HTTP_SEC_FETCH_SITE": "same-origin"}


def shows_form(visit: Visit) -> None:
    visit.keeps("form", visit.session.csrf_token)
    visit.keeps("session of the form", visit.session.id or "")
    visit.says("shows form")


def checks_form(visit: Visit) -> None:
    """The form of a page that was shown before, if there was one."""
    is_good = visit.session.check_csrf(visit.kept("form"))
    if visit.kept("form") is not None:
        visit.says("checks form", visit.kept("session of the form") or "", is_good)


def logs_in_by_form(visit: Visit) -> None:
    checks_form(visit)
    if visit.session.check_csrf(visit.kept("form")):
        visit.says("by hand")
        visit.session.login("ann", user_id="ann", session_version=1)
        visit.says("logs in", "ann")


def renews_forms(visit: Visit) -> None:
    visit.says("renews forms")
    visit.session.renew_csrf()


OF_FORMS = (
    Act("form", shows_form, environ=SAME_ORIGIN),
    Act("check form", checks_form, environ=SAME_ORIGIN),
    Act("login by form", logs_in_by_form, environ=SAME_ORIGIN),
    Act("renew forms", renews_forms),
)
