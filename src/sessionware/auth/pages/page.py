"""What a page has to show, as plain data. `html` makes markup of it, or a site's own `render`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..._repr import shown_half_built
from ...errors import AuthError

FieldKind = Literal["text", "email", "password", "checkbox", "hidden"]


@shown_half_built
@dataclass(frozen=True)
class Field:
    """One field of a page's form."""

    name: str
    """What it is posted as. No other field of the page has this name."""
    label: str
    """What people call it."""
    kind: FieldKind = "text"
    """What can be done to it. A password is never shown again; a hidden field is for the page alone."""
    autocomplete: str = ""
    """What a browser or password manager fills in, as HTML calls it."""
    hint: str = ""
    """What to know before typing."""
    value: str = ""
    """What was typed before, to be shown again. A checkbox that is on has `"on"`."""
    is_invalid: bool = False
    """Whether an error of the page is about this field."""
    error: str = ""
    """What is wrong with it, in words for people, if an error is about this field alone. `Page.error` has it too."""
    has_focus: bool = False
    """Whether to begin typing here, because it is the first field to be corrected."""
    errors: tuple[type[AuthError], ...] = ()
    """The errors that are about this field. The pages set `is_invalid` by them, and that is what to show."""
    is_required: bool = True
    """Whether it has to be filled in, or a checkbox be on."""
    is_fixed: bool = False
    """Whether its value can be seen but not changed."""
    max_length: int = 255
    """The most characters that a field of the site's own may have. Names and passwords have limits of their own."""


@shown_half_built
@dataclass(frozen=True)
class Link:
    """A way from a page to somewhere else."""

    label: str
    """What the link says."""
    href: str
    """Where it leads."""
    question: str = ""
    """The text before it, outside the link."""


@shown_half_built
@dataclass(frozen=True)
class Place:
    """One place where somebody is logged in, as /sessions shows it."""

    id: str
    """The handle to end it by, posted in a field called `id`. Not a credential."""
    title: str
    """The device, in words for people."""
    facts: tuple[tuple[str, str], ...] = ()
    """What else is known of it, such as its address and when it was used, each with a label."""
    current: str = ""
    """Words that say that it is this browser; empty if it is another one."""
    submit: str = ""
    """What the button says that ends it; empty if there is none."""


@shown_half_built
@dataclass(frozen=True)
class Page:
    """Everything that a page must show. Nothing in it is escaped yet, but for `html`."""

    name: str
    """Which page it is, as in its path, such as "login"."""
    title: str
    """Its heading."""
    action: str
    """Where its form is posted to."""
    submit: str
    """What the button says; empty if the page has no form."""
    home: str
    """Where the site's name leads."""
    fields: tuple[Field, ...] = ()
    """What to fill in, from top to bottom."""
    places: tuple[Place, ...] = ()
    """Where somebody is logged in, above the form. Only /sessions has any."""
    links: tuple[Link, ...] = ()
    """Ways elsewhere, below the form."""
    next: str = ""
    """Where to go afterwards, to be posted in a hidden field called `next`; empty for the usual place."""
    error: str = ""
    """Everything that went wrong, in words for people; empty if nothing did."""
    notice: str = ""
    """News, in words for people; empty if there are none."""
    site_name: str = ""
    """The site's name; empty if the site did not say."""
    stylesheet: str = ""
    """The path of one more style sheet, to come after the page's own; empty if there is none."""
    document_title: str = ""
    """What the browser's tab says, which is the title, the site's name, and whether something went wrong."""
    lang: str = "en"
    """The language of all these texts, for the `lang` of the document."""
    dir: str = "ltr"
    """The direction in which that language is written, for the `dir` of the document."""
    status: int = 200
    """The HTTP status of the response."""
    html: str = field(default="", repr=False)
    """All of this as markup, ready to be put into the <main> of a layout of the site's own."""
