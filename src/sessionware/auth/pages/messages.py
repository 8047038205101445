"""Every text that a person sees on a page, by its id, and the words that a site puts in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from string import Formatter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...errors import (
    AuthError,
    Busy,
    ConfigError,
    CrossOriginRefused,
    LoginFailed,
    NotLoggedIn,
    Throttled,
    TokenInvalid,
    TooManySessions,
    UsernameRejected,
    UsernameTaken,
)
from .forms import BAD_FORMS
from .own_fields import REJECTIONS
from .owner import OtherOwner

if TYPE_CHECKING:
    from .settings import PageFile

#: What all pages share.
SHARED = {
    "lang": "en",
    "dir": "ltr",
    "page.document_title": "{title} | {site_name}",
    "page.document_title_of_error": "Error: {title}",
    "page.continue": "Continue",
    "page.log_out": "Log out",
    "wait.moment": "Please try again in a moment.",
    "wait.seconds": "Please try again in {seconds} seconds.",
    "wait.minutes": "Please try again in {minutes} minutes.",
    "wait.hours": "Please try again in {hours} hours.",
}

#: What errors say. Without a word of the site's own, an error's own message is shown, which may be more exact.
ERRORS = {
    "error.LoginFailed": LoginFailed.message,
    "error.NotLoggedIn": NotLoggedIn.message,
    "error.TokenInvalid": TokenInvalid.message,
    "error.TooManySessions": TooManySessions.message,
    "error.CrossOriginRefused.cross_origin": CrossOriginRefused.message,
    "error.CrossOriginRefused.method": (
        "This has to be sent by POST, from a form. A link could have been followed from any other website."
    ),
    "error.OtherOwner": OtherOwner.message,
    "error.UsernameTaken": UsernameTaken.message,
    "error.UsernameRejected": UsernameRejected.message,
    "error.PasswordRejected.too_short": (
        "Please choose a password of at least {minimum_length} characters. Several words are fine."
    ),
    "error.PasswordRejected.too_long": "Please choose a password of at most {maximum_length} characters.",
    "error.PasswordRejected.invalid": "Please choose a password without tabs or line breaks.",
    "error.PasswordRejected.common": "This password is easy to guess. Please choose another one.",
    "error.PasswordRejected.context": (
        "This password is made of your username or of this site's name. Please choose another one."
    ),
    "error.PasswordRejected.breached": (
        "This password is known from a data breach, and is tried first by those who guess. Please choose another one, "
        "and change it wherever else you use it."
    ),
    "error.PasswordRejected.unchanged": "This is your password already. Please choose another one.",
    **{f"error.FieldRejected.{reason}": text for reason, text in REJECTIONS.items()},
    **{f"error.BadForm.{reason}": text for reason, text in BAD_FORMS.items()},
}

#: What is said in two sentences: this one, and when to come back.
WAITING: dict[type[AuthError], tuple[str, str]] = {
    Throttled: ("error.Throttled", "Too many attempts."),
    Busy: ("error.Busy", "The server is busy."),
}

#: Before the name of a method by which somebody proved who it is. A site may have any, so their words may have any id.
_METHOD = "sessions.method."

_MOMENT = 5  # up to so many seconds need not be counted


def name_of(page: PageFile) -> str:
    """What a page is called, in ids and in `Page.name`."""
    return page.PATH.strip("/")


def catalogue(pages: Iterable[PageFile]) -> dict[str, str]:
    """Every id there is, with our own words."""
    texts = {**SHARED, **dict(WAITING.values())}
    for page in pages:
        texts |= {f"{name_of(page)}.{id}": text for id, text in _texts_of(page).items() if text}
    return texts | ERRORS


def _texts_of(page: PageFile) -> dict[str, str]:
    texts = {"title": page.TITLE, "submit": page.SUBMIT}
    for field in page.FIELDS:
        texts |= {f"{field.name}.label": field.label, f"{field.name}.hint": field.hint}
    for link in page.LINKS:
        texts |= {link_id(link.href): link.label, f"{link_id(link.href)}.question": link.question}
    return {**texts, **page.MESSAGES}


def link_id(path: str) -> str:
    """The id, on its page, of a link to another page or, by an empty path, to the site's home."""
    return f"to_{path.strip('/') or 'home'}"


@dataclass(frozen=True)
class Messages:
    """The texts of one site. What they are formatted with is not escaped."""

    texts: Mapping[str, str]
    changed: frozenset[str]
    """The ids for which the site has words of its own."""

    @classmethod
    def of(cls, pages: Iterable[PageFile], changes: Mapping[str, str]) -> Messages:
        """Ours, with the site's changes. Raises `ConfigError` for a change that cannot be meant."""
        ours = catalogue(pages)
        if not isinstance(changes, Mapping):
            raise ConfigError('messages: write a dict of ids and texts, such as {"login.title": "Sign in"}.')
        for id, text in changes.items():
            _check(ours, id, text)
        return cls(MappingProxyType({**ours, **changes}), frozenset(changes))

    def say(self, id: str, **values: object) -> str:
        """The text of this id. Values that it has no place for are left out."""
        return self.texts[id].format(**values)

    def say_or(self, id: str, text: str, **values: object) -> str:
        """The text of this id, if there is one; else this one, as it is."""
        return self.say(id, **values) if id in self.texts else text

    def of_method(self, name: str) -> str:
        """A method by which somebody proved who it is: in words for people, if there are any, else its name."""
        return self.say_or(_METHOD + name, name)

    def of_error(self, page: str, error: AuthError, **values: object) -> str:
        """What an error says on this page."""
        name, reason = type(error).__name__, f"{type(error).__name__}.{error.reason}"
        for id in (f"{page}.error.{reason}", f"{page}.error.{name}"):
            if id in self.texts:
                return self.say(id, **values)
        if type(error) in WAITING:
            return f"{self.say(f'error.{name}')} {self._wait(error.retry_after or 0)}"
        for id in (f"error.{reason}", f"error.{name}"):
            if id in self.changed:
                return self.say(id, **values)
        return error.message

    def _wait(self, seconds: int) -> str:
        """When to come back: in seconds up to a minute and a half, in minutes up to an hour and a half."""
        if seconds <= _MOMENT:
            return self.say("wait.moment")
        if seconds <= 90:
            return self.say("wait.seconds", seconds=seconds)
        if seconds <= 90 * 60:
            return self.say("wait.minutes", minutes=-(-seconds // 60))
        return self.say("wait.hours", hours=-(-seconds // 3600))


def _check(ours: Mapping[str, str], id: object, text: object) -> None:
    if not isinstance(id, str) or not (id in ours or _is_of_method(id)):
        near = get_close_matches(str(id), ours, n=1, cutoff=0.4)
        advice = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"messages: there is no text with the id {id!r}.{advice} docs/reference.md lists them all.")
    if not isinstance(text, str):
        raise ConfigError(f"messages[{id!r}]: write text, not {type(text).__name__}.")
    if not text.strip() and not id.endswith((".hint", ".question")):
        raise ConfigError(f"messages[{id!r}] is empty. Only hints and questions may be left out.")
    if id == "dir" and text not in ("ltr", "rtl"):
        raise ConfigError(f'messages["dir"]={text!r}: write "ltr" or "rtl".')
    if text.strip():
        _check_placeholders(id, placeholders(id, ours.get(id, "")), placeholders(id, text))


def _is_of_method(id: str) -> bool:
    return id.startswith(_METHOD) and id != _METHOD


def _check_placeholders(id: str, ours: set[str], theirs: set[str]) -> None:
    missing, unknown = sorted(ours - theirs), sorted(theirs - ours)
    if missing:
        raise ConfigError(f"messages[{id!r}] lacks {_listed(missing)}, which is filled in when it is shown.")
    if unknown:
        known = f"; it has {_listed(sorted(ours))}" if ours else ": nothing is filled in here"
        raise ConfigError(f"messages[{id!r}] has {_listed(unknown)}, which this text does not know{known}.")


def placeholders(id: str, text: str) -> set[str]:
    """What is filled in to a text. Raises `ConfigError` for anything else in braces."""
    try:
        found: list[tuple[Any, ...]] = list(Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"messages[{id!r}]: {error}. Write {{{{ and }}}} for braces.") from None
    names = {name for _, name, _, _ in found if name is not None}
    odd = sorted(name for name in names if not name.isidentifier())
    if odd or any(spec or conversion for _, _, spec, conversion in found):
        raise ConfigError(f"messages[{id!r}]: write placeholders as {{name}} alone, without anything else in braces.")
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
