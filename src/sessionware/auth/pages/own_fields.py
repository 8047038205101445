"""The site's own fields of /register: which there may be, and whether they were filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields as attributes_of
from unicodedata import category

from ...errors import AuthError, ConfigError
from .forms import Form
from .page import Field

_MOST = 16

#: Together, so that tables can keep them as JSON, where a character takes up to twelve bytes.
_MOST_CHARACTERS = 5_000

#: What a page fills in when it is shown. At a field that is about to be typed into, it would mean nothing.
_FILLED_IN = ("value", "is_invalid", "error", "has_focus", "errors", "is_fixed")

_is_name = re.compile(r"[a-z][a-z0-9_-]{0,39}").fullmatch
# What browsers take for an address: https://html.spec.whatwg.org/#valid-e-mail-address
_is_email = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
).fullmatch


#: What is wrong with what was typed, by the reason.
REJECTIONS = {
    "missing": "Please fill in this field.",
    "unchecked": "Please tick this box to go on.",
    "too_long": "Please use at most {max_length} characters.",
    "not_email": "Please enter an e-mail address, such as name@example.com.",
    "invalid": "Please leave out line breaks and other control characters.",
}


class FieldRejected(AuthError):
    """What was typed into one of the site's own fields will not do."""

    status = 422

    def __init__(self, field: Field, reason: str) -> None:
        super().__init__(REJECTIONS[reason].format(max_length=field.max_length), reason=reason)
        self.field = field


def values_of(fields: Iterable[Field], form: Form) -> dict[str, str | bool]:
    """What was filled in, to be kept with the account. A checkbox is True or False."""
    return {field.name: bool(form[field.name]) if field.kind == "checkbox" else form[field.name] for field in fields}


def rejections(fields: Iterable[Field], form: Form) -> list[AuthError]:
    """What is wrong with it, field by field."""
    found = (_rejection(field, form[field.name]) for field in fields)
    return [error for error in found if error is not None]


def _rejection(field: Field, typed: str) -> FieldRejected | None:
    if not typed:
        missing = "unchecked" if field.kind == "checkbox" else "missing"
        return FieldRejected(field, missing) if field.is_required else None
    if len(typed) > field.max_length:
        return FieldRejected(field, "too_long")
    if any(category(character) in ("Cc", "Cs") for character in typed):
        return FieldRejected(field, "invalid")
    if field.kind == "email" and not _is_email(typed):
        return FieldRejected(field, "not_email")
    return None


# When the pages are built


def check_own_fields(fields: object, taken: Iterable[str]) -> tuple[Field, ...]:
    """The fields, as a tuple. Raises `ConfigError` for one that cannot be on the page, or must not be stored."""
    if not isinstance(fields, Sequence) or not all(isinstance(field, Field) for field in fields):
        raise ConfigError('fields: write a list of fields, such as [Field("email", "E-mail", kind="email")].')
    if len(fields) > _MOST:
        raise ConfigError(f"fields: a registration has at most {_MOST} fields of the site's own, not {len(fields)}.")
    names = {*taken, "next", "error"}
    for field in fields:
        _check(field, names)
        names.add(field.name)
    characters = sum(field.max_length for field in fields)
    if characters > _MOST_CHARACTERS:
        raise ConfigError(f"fields: their max_length may be {_MOST_CHARACTERS} together, not {characters}.")
    return tuple(fields)


def _check(field: Field, taken: Iterable[str]) -> None:
    if field.kind not in ("text", "email", "checkbox"):
        raise ConfigError(
            f'Field({field.name!r}, kind={field.kind!r}): write "text", "email" or "checkbox". What is typed here is '
            "stored as it is, so it must not be a password."
        )
    if not isinstance(field.name, str) or not _is_name(field.name):
        raise ConfigError(f"Field({field.name!r}): write a name of small letters, digits, - and _, such as 'email'.")
    if field.name.endswith(("-hint", "-error")):  # the ids of the texts about a field
        raise ConfigError(f"Field({field.name!r}): write a name that does not end in -hint or -error.")
    if field.name in taken:
        raise ConfigError(f"Field({field.name!r}): the form has a field of this name already. Choose another name.")
    if not isinstance(field.label, str) or not field.label.strip():
        raise ConfigError(f"Field({field.name!r}): write a label, which people read beside it.")
    if isinstance(field.max_length, bool) or not isinstance(field.max_length, int) or field.max_length < 1:
        raise ConfigError(f"Field({field.name!r}, max_length={field.max_length!r}): write a number of characters.")
    if not isinstance(field.is_required, bool):
        raise ConfigError(f"Field({field.name!r}, is_required={field.is_required!r}): write True or False.")
    for name in ("hint", "autocomplete"):
        if not isinstance(getattr(field, name), str):
            raise ConfigError(f"Field({field.name!r}, {name}={getattr(field, name)!r}): write text, or leave it out.")
    for attribute in attributes_of(field):
        if attribute.name in _FILLED_IN and getattr(field, attribute.name) != attribute.default:
            raise ConfigError(
                f"Field({field.name!r}, {attribute.name}=…): leave it out, because the pages fill it in. Everybody can "
                "post what they like, so keep what is not theirs to choose where your application sets it."
            )
