"""What is posted to a page: its fields, how they are read, and how forms that no browser would send are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from ..._types import Environ
from ...errors import AuthError, LoginFailed, PasswordRejected, UsernameRejected, UsernameTaken
from .html import Field

MAX_BYTES = 16 * 1024
_MAX_FIELDS = 16

# int() accepts signs and the digits of other scripts too, and fails on thousands of them.
_is_length = re.compile("[0-9]{1,19}").fullmatch

# A failed login is about both fields, because nobody must learn which of the two was wrong.
USERNAME = Field(
    "username",
    "Username",
    autocomplete="username",
    errors=(LoginFailed,),
)
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


class BadForm(AuthError):
    """What was posted is not what the page's form would have sent."""

    reason = "bad_form"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Form:
    """What was typed, by the name of the field. A field that was not sent is empty."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, "")

    def __repr__(self) -> str:
        """The names alone, because an error report may show it, and people type passwords into any field."""
        return f"Form({', '.join(self._values)})"


def read_form(environ: Environ, fields: Iterable[Field]) -> Form:
    """Read these fields, and `next`. Raises `BadForm` for anything that no browser would send."""
    sent = _parse(_read(environ))
    if len(sent) != len(dict(sent)):
        raise BadForm(400, "A form field was sent twice.")
    kinds = {field.name: field.kind for field in fields}
    # Phones add a space to a word that they suggested. Nothing is ever removed from a password.
    typed = {name: value.strip() if kinds[name] == "text" else value for name, value in sent if name in kinds}
    return Form({**typed, "next": dict(sent).get("next", "")})


def _read(environ: Environ) -> bytes:
    """The body, by its length, and never up to the end of the connection."""
    if _media_type(environ) != "application/x-www-form-urlencoded":
        raise BadForm(415, "Please submit the form from the page.")
    length = environ.get("CONTENT_LENGTH", "")
    if not _is_length(length):
        raise BadForm(411, "The form was sent without its length.")
    if int(length) > MAX_BYTES:
        raise BadForm(413, "The form is too large.")
    body: bytes = environ["wsgi.input"].read(int(length))
    if len(body) != int(length):
        raise _incomplete()
    return body


def _media_type(environ: Environ) -> str:
    content_type: str = environ.get("CONTENT_TYPE", "")
    return content_type.split(";")[0].strip().lower()


def _parse(body: bytes) -> list[tuple[str, str]]:
    if re.search(rb"%(?![0-9A-Fa-f]{2})", body):
        raise _incomplete()
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise BadForm(400, "The form data could not be read.") from None


def _incomplete() -> BadForm:
    return BadForm(400, "The form data was incomplete.")
