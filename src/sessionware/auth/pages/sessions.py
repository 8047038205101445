"""/sessions: every place where somebody is logged in, and the buttons that end them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ...session_info import SessionInfo
from .owner import OWNER, OtherOwner, check_owner
from .page import Field, Link, Place
from .request import PageRequest, Response

PATH = "/sessions"
TITLE = "Where you are logged in"
SUBMIT = "Log out everywhere else"
FIELDS: tuple[Field, ...] = (OWNER, Field("id", "", kind="hidden"))
LINKS: tuple[Link, ...] = (
    Link("Change your password", "/password"),
    Link("Log out here", "/logout"),
)
MESSAGES = {
    "current": "This browser",
    "end": "Log out",
    "unknown_device": "Unknown browser",
    "address": "Address",
    "methods": "Logged in with",
    "method.password": "password",
    "authenticated_at": "Logged in",
    "last_used_at": "Last used",
    "time": "{year}-{month}-{day} {hour}:{minute} UTC",
    "now": "now",
    "moment": "a moment ago",
    "minutes": "about {minutes} minutes ago",
    "hours": "about {hours} hours ago",
    "days": "about {days} days ago",
    "ended": "That browser was logged out.",
    "others_ended": "You were logged out everywhere else.",
}
IS_DESTINATION = True

#: What the form posts that ends all but this one. No session has such a handle.
OTHERS = "others"

#: Whoever ends a session has shown within so many seconds that it is really he or she (ASVS 5.0 7.5.2).
FRESH = 15 * 60


def get(request: PageRequest) -> Response:
    """The list, this browser first, then by when they were used."""
    user = request.auth.require_user(request)
    request.know(id=OTHERS, owner=user.id)
    return request.show(notice=_notice(request), **_list(request))


def post(request: PageRequest) -> Response:
    """End one, or all others, and show the list again."""
    user = request.auth.require_user(request)
    if user.password_hash is not None:  # whoever has none, because another site vouches for him, cannot confirm by it
        request.auth.require_user(request, fresh=FRESH)
    request.know(id=OTHERS, owner=user.id)
    form = request.read_form()
    try:
        check_owner(form, user)
    except OtherOwner as error:
        return request.refuse(error, **_list(request))
    id = form["id"]
    if id == OTHERS:
        request.auth.end_other_sessions(request)
        return request.redirect(request.path_to(PATH, ended=OTHERS))
    if not id:  # from a page that was shown without the list, after a form that could not be read
        return request.redirect(request.path_to(PATH))
    request.auth.end_session(request, id)
    return request.redirect(request.path_to(PATH, ended="1"))


def _list(request: PageRequest) -> dict[str, Any]:
    """What the page shows. Without another place there is nothing to end."""
    infos = sorted(request.auth.sessions(request), key=_order)
    places = tuple(_place(request, info) for info in infos)
    return {"places": places} if len(infos) > 1 else {"places": places, "submit": "", "fields": ()}


def _notice(request: PageRequest) -> str:
    ended = request.parameter("ended")
    if not ended:
        return ""
    return request.text("others_ended" if ended == OTHERS else "ended")


def _order(info: SessionInfo) -> tuple[bool, int]:
    return not info.is_current, -(info.last_used_at or info.authenticated_at)


def _place(request: PageRequest, info: SessionInfo) -> Place:
    return Place(
        info.id,
        title=info.device or request.text("unknown_device"),
        facts=tuple(_facts(request, info)),
        current=request.text("current") if info.is_current else "",
        submit="" if info.is_current else request.text("end"),
    )


def _facts(request: PageRequest, info: SessionInfo) -> list[tuple[str, str]]:
    facts = [
        ("address", info.client or ""),
        ("methods", ", ".join(map(request.settings.messages.of_method, info.methods))),
    ]
    facts.append(("authenticated_at", _time(request, info.authenticated_at)))
    facts.append(("last_used_at", request.text("now") if info.is_current else _ago(request, info.last_used_at)))
    return [(request.text(id), value) for id, value in facts if value]


def _time(request: PageRequest, moment: int) -> str:
    """In UTC, because without a script nobody knows the visitor's own time."""
    at = datetime.fromtimestamp(moment, timezone.utc)
    year, month, day, hour, minute = at.strftime("%Y %m %d %H %M").split()
    return request.text("time", year=year, month=month, day=day, hour=hour, minute=minute)


def _ago(request: PageRequest, moment: int | None) -> str:
    """How long ago, never as one of anything: so every language can do with a single form. Empty if nobody knows."""
    if moment is None:
        return ""
    seconds = max(0, request.now - moment)
    if seconds < 90:
        return request.text("moment")
    if seconds < 90 * 60:
        return request.text("minutes", minutes=round(seconds / 60))
    if seconds < 36 * 3600:
        return request.text("hours", hours=round(seconds / 3600))
    return request.text("days", days=round(seconds / 86400))
