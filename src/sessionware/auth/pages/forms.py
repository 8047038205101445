"""What is posted to a page: its fields, how they are read, and how forms that no browser would send are refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from ..._hidden import HiddenText
from ..._types import Environ
from ...errors import AuthError, LoginFailed, PasswordRejected, UsernameRejected, UsernameTaken
from .page import Field

MAX_BYTES = 16 * 1024
_MAX_FIELDS = 16
_BYTES_OF_A_CHARACTER = 12  # at most: four bytes of UTF-8, each as in "%F0"

# int() accepts signs and the digits of other scripts too, and fails on thousands of them.
_is_length = re.compile("[0-9]{1,19}").fullmatch

# A failed login is about both fields, because nobody must learn which of the two was wrong.
USERNAME = Field(
    "username",
    "Username",
    autocomplete="username",
    errors=(LoginFailed,),
)
# For whoever is logged in. A password manager finds out by it which of its passwords is meant.
OWN_USERNAME = replace(USERNAME, is_fixed=True, errors=())
# The rule is said before anybody is refused, in the words of the refusal.
NEW_USERNAME = replace(
    USERNAME,
    hint=UsernameRejected.message.replace("Please choose a username of up to", "Up to", 1),
    errors=(UsernameRejected, UsernameTaken),
)
CURRENT_PASSWORD = Field(
    "password",
    "Password",
    kind="password",
    autocomplete="current-password",
    errors=(LoginFailed,),
)
NEW_PASSWORD = Field(
    "password",
    "Password",
    kind="password",
    autocomplete="new-password",
    hint="At least {minimum_length} characters. Several words are easy to remember.",
    errors=(PasswordRejected,),
)
REMEMBER = Field("remember", "Remember me", kind="checkbox", is_required=False)


#: What is wrong with what was posted, by the reason.
BAD_FORMS = {
    "method": "This page accepts forms sent by POST.",
    "media_type": "Please submit the form from the page.",
    "no_length": "The form was sent without its length.",
    "too_large": "The form is too large.",
    "twice": "A form field was sent twice.",
    "unreadable": "The form data could not be read.",
    "incomplete": "The form data was incomplete.",
}


class BadForm(AuthError):
    """What was posted is not what the page's form would have sent."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(BAD_FORMS[reason], reason=reason)
        self.status = status


class Form:
    """What was typed, by the name of the field. A field that was not sent is empty."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, "")

    def hidden(self, name: str) -> HiddenText:
        """The same for what must not show in reports of errors, such as a password."""
        return HiddenText(self._values.get(name, ""))

    def __repr__(self) -> str:
        """The names alone, because an error report may show it, and people type passwords into any field."""
        return f"Form({', '.join(self._values)})"


def read_form(environ: Environ, fields: Iterable[Field], more: Collection[Field] = ()) -> Form:
    """Read these fields, more of the site's own, and `next`. Raises `BadForm` for what no browser would send."""
    known = {field.name: field for field in (*fields, *more)}
    most = MAX_BYTES + _BYTES_OF_A_CHARACTER * sum(field.max_length for field in more)
    sent = _parse(_read(environ, most), _MAX_FIELDS + len(more))
    if len(sent) != len(dict(sent)):
        raise BadForm(400, "twice")
    typed = {name: _without_padding(known[name], value) for name, value in sent if name in known}
    return Form({**typed, "next": dict(sent).get("next", "")})


def _without_padding(field: Field, value: str) -> str:
    """Phones add a space to a word that they suggested. Nothing is ever removed from a password."""
    return value.strip() if field.kind in ("text", "email") else value


def _read(environ: Environ, most: int) -> bytes:
    """The body, by its length, and never up to the end of the connection."""
    if _media_type(environ) != "application/x-www-form-urlencoded":
        raise BadForm(415, "media_type")
    length = environ.get("CONTENT_LENGTH", "")
    if not _is_length(length):
        raise BadForm(411, "no_length")
    if int(length) > most:
        raise BadForm(413, "too_large")
    body: bytes = environ["wsgi.input"].read(int(length))
    if len(body) != int(length):
        raise BadForm(400, "incomplete")
    return body


def _media_type(environ: Environ) -> str:
    content_type: str = environ.get("CONTENT_TYPE", "")
    return content_type.split(";")[0].strip().lower()


def _parse(body: bytes, most_fields: int) -> list[tuple[str, str]]:
    if re.search(rb"%(?![0-9A-Fa-f]{2})", body):
        raise BadForm(400, "incomplete")
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most_fields)
    except ValueError:
        raise BadForm(400, "unreadable") from None
