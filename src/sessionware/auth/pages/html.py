"""How a page looks: plain HTML and one style sheet, without a script.

Colours, font and corners are CSS variables, so a few lines in a site's own style sheet, `AuthPages(stylesheet=...)`,
fit the pages to the site. `AuthPages(render=...)` replaces all of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

from ..._repr import shown_half_built
from ...errors import AuthError

# Not by importlib.resources, which would make every import of sessionware.auth slower, pages or not.
STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


@shown_half_built
@dataclass(frozen=True)
class Field:
    """One field of a page's form. Every field has to be filled in."""

    name: str
    """What it is posted as. No other field of the page has this name."""
    label: str
    """What people call it."""
    kind: Literal["text", "password"] = "text"
    """Whether what is typed can be seen. A password is never shown again."""
    autocomplete: str = ""
    """What a password manager fills in, as HTML calls it."""
    hint: str = ""
    """What to know before typing."""
    value: str = ""
    """What was typed before, to be shown again."""
    is_invalid: bool = False
    """Whether an error of the page is about this field."""
    error: str = ""
    """What is wrong with it, in words for people, if an error is about this field alone. `Page.error` has it too."""
    has_focus: bool = False
    """Whether to begin typing here, because it is the first field to be corrected."""
    errors: tuple[type[AuthError], ...] = ()
    """The errors that are about this field. The pages set `is_invalid` by them, and that is what to show."""


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
class Page:
    """Everything that a page must show. Nothing in it is escaped yet."""

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


def render_page(page: Page) -> str:
    """The page as HTML."""
    heading = f"{page.title} | {page.site_name}" if page.site_name else page.title
    problem = "Error: " if page.error else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(problem + heading)}</title>
<style>{STYLE}</style>
{_stylesheet(page)}</head>
<body>
<main>
{_site(page)}<h1>{escape(page.title)}</h1>
{_messages(page)}{_form(page)}{"".join(map(_link, page.links))}</main>
</body>
</html>
"""


def _stylesheet(page: Page) -> str:
    return f'<link rel="stylesheet" href="{escape(page.stylesheet)}">\n' if page.stylesheet else ""


def _site(page: Page) -> str:
    if not page.site_name:
        return ""
    return f'<p class="site"><a href="{escape(page.home)}">{escape(page.site_name)}</a></p>\n'


def _messages(page: Page) -> str:
    """What is not said at a field. Without a field to correct, the focus is here."""
    notice = f'<p class="notice" role="status">{escape(page.notice)}</p>\n' if page.notice else ""
    if not page.error or any(field.error for field in page.fields):
        return notice
    focus = "" if any(field.has_focus for field in page.fields) else ' tabindex="-1" autofocus'
    return f'{notice}<p class="error" id="error" role="alert"{focus}>{escape(page.error)}</p>\n'


def _form(page: Page) -> str:
    if not page.submit:
        return ""
    return f"""<form method="post" action="{escape(page.action)}">
{"".join(map(_field, page.fields))}{_next(page)}<button type="submit">{escape(page.submit)}</button>
</form>
"""


def _link(link: Link) -> str:
    question = f"{escape(link.question)} " if link.question else ""
    return f'<p class="else">{question}<a href="{escape(link.href)}">{escape(link.label)}</a></p>\n'


def _next(page: Page) -> str:
    return f'<input type="hidden" name="next" value="{escape(page.next)}">\n' if page.next else ""


def _field(field: Field) -> str:
    """A label, a hint and an error if there are any, and the place to type."""
    name = escape(field.name)
    error = f'<p class="error" id="{name}-error" role="alert">{escape(field.error)}</p>\n' if field.error else ""
    hint = f'<p class="hint" id="{name}-hint">{escape(field.hint)}</p>\n' if field.hint else ""
    return f'<label for="{name}">{escape(field.label)}</label>\n{hint}{error}{_INPUTS[field.kind](field)}\n'


def _text(field: Field) -> str:
    """A name or a code, so a phone must neither capitalise nor correct it."""
    return f'<input {_common(field)} value="{escape(field.value)}" autocapitalize="none" spellcheck="false">'


def _password(field: Field) -> str:
    return f'<input {_common(field)} type="password">'


_INPUTS = {"text": _text, "password": _password}


def _common(field: Field) -> str:
    name, autocomplete = escape(field.name), escape(field.autocomplete)
    focus = " autofocus" if field.has_focus else ""
    return f'id="{name}" name="{name}" autocomplete="{autocomplete}" required{focus}{_state(field)}'


def _state(field: Field) -> str:
    """Attributes that give a screen reader the texts about the field, and whether it is wrong."""
    name = escape(field.name)
    error = f"{name}-error" if field.error else "error"
    described = " ".join(filter(None, [f"{name}-hint" if field.hint else "", error if field.is_invalid else ""]))
    invalid = ' aria-invalid="true"' if field.is_invalid else ""
    return (f' aria-describedby="{described}"' if described else "") + invalid
