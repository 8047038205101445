"""How a page looks: plain HTML and one style sheet, without a script.

Colours, font and corners are CSS variables, so a few lines in a site's own style sheet, `AuthPages(stylesheet=...)`,
fit the pages to the site. `AuthPages(render=...)` puts the markup into a layout of the site's own, or replaces it.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

from .page import Field, Link, Page, Place

# Not by importlib.resources, which would make every import of sessionware.auth slower, pages or not.
STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def render_page(page: Page, _request: object = None) -> str:
    """The page as a whole document. The request makes no difference."""
    direction = f' dir="{escape(page.dir)}"' if page.dir != "ltr" else ""
    return f"""<!DOCTYPE html>
<html lang="{escape(page.lang)}"{direction}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.document_title or page.title)}</title>
<style>{STYLE}</style>
{_stylesheet(page)}</head>
<body>
<main>
{page.html or markup(page)}</main>
</body>
</html>
"""


def markup(page: Page) -> str:
    """What stands inside <main>."""
    places = _places(page) if page.places else ""
    links = "".join(map(_link, page.links))
    return f"{_site(page)}<h1>{escape(page.title)}</h1>\n{_news(page)}{places}{_form(page)}{links}"


def _stylesheet(page: Page) -> str:
    return f'<link rel="stylesheet" href="{escape(page.stylesheet)}">\n' if page.stylesheet else ""


def _site(page: Page) -> str:
    if not page.site_name:
        return ""
    return f'<p class="site"><a href="{escape(page.home)}">{escape(page.site_name)}</a></p>\n'


def _news(page: Page) -> str:
    """What is not said at a field. Without a field to correct, the focus is here."""
    notice = f'<p class="notice" role="status">{escape(page.notice)}</p>\n' if page.notice else ""
    if not page.error or any(field.error for field in page.fields):
        return notice
    focus = "" if any(field.has_focus for field in page.fields) else ' tabindex="-1" autofocus'
    return f'{notice}<p class="error" id="error" role="alert"{focus}>{escape(page.error)}</p>\n'


# Where somebody is logged in


def _places(page: Page) -> str:
    items = "".join(_place(page, place, f"place-{number}") for number, place in enumerate(page.places, 1))
    return f'<ul class="places">\n{items}</ul>\n'


def _place(page: Page, place: Place, heading: str) -> str:
    current = f' <span class="current">{escape(place.current)}</span>' if place.current else ""
    facts = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>\n" for label, value in place.facts)
    return f"""<li>
<h2 id="{heading}">{escape(place.title)}{current}</h2>
<dl>
{facts}</dl>
{_end_form(page, place, heading)}</li>
"""


def _end_form(page: Page, place: Place, heading: str) -> str:
    """The button that ends it. There are several with the same words, so each is described by its heading."""
    if not place.submit:
        return ""
    fields = (replace(field, value=place.id) if field.name == "id" else field for field in page.fields)
    return f"""<form method="post" action="{escape(page.action)}">
{"".join(map(_field, fields))}<button type="submit" aria-describedby="{heading}">{escape(place.submit)}</button>
</form>
"""


# The form


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
    if field.kind == "hidden":
        return f'<input type="hidden" name="{escape(field.name)}" value="{escape(field.value)}">\n'
    if field.kind == "checkbox":
        return _checkbox(field)
    return f"{_label(field)}\n{_hint(field)}{_error(field)}{_INPUTS[field.kind](field)}\n"


def _checkbox(field: Field) -> str:
    """With its label behind it, as people expect, and below both what there is to say about it."""
    checked = " checked" if field.value else ""
    box = f'<input {_common(field)} type="checkbox"{checked}>'
    return f'<div class="checkbox">{box}\n{_label(field)}</div>\n{_hint(field)}{_error(field)}'


def _label(field: Field) -> str:
    return f'<label for="{escape(field.name)}">{escape(field.label)}</label>'


def _hint(field: Field) -> str:
    return f'<p class="hint" id="{escape(field.name)}-hint">{escape(field.hint)}</p>\n' if field.hint else ""


def _error(field: Field) -> str:
    if not field.error:
        return ""
    return f'<p class="error" id="{escape(field.name)}-error" role="alert">{escape(field.error)}</p>\n'


def _text(field: Field) -> str:
    """A name or a code, so a phone must neither capitalise nor correct it."""
    return f'<input {_common(field)} value="{escape(field.value)}" autocapitalize="none" spellcheck="false">'


def _email(field: Field) -> str:
    return f'<input {_common(field)} type="email" value="{escape(field.value)}">'


def _password(field: Field) -> str:
    return f'<input {_common(field)} type="password">'


_INPUTS = {"text": _text, "email": _email, "password": _password}


def _common(field: Field) -> str:
    name = escape(field.name)
    attributes = [f'id="{name}" name="{name}"']
    if field.autocomplete:
        attributes.append(f'autocomplete="{escape(field.autocomplete)}"')
    if field.is_fixed:
        attributes.append("readonly")
    elif field.is_required:
        attributes.append("required")
    if field.has_focus:
        attributes.append("autofocus")
    return " ".join(attributes) + _state(field)


def _state(field: Field) -> str:
    """Attributes that give a screen reader the texts about the field, and whether it is wrong."""
    name = escape(field.name)
    error = f"{name}-error" if field.error else "error"
    described = " ".join(filter(None, [f"{name}-hint" if field.hint else "", error if field.is_invalid else ""]))
    invalid = ' aria-invalid="true"' if field.is_invalid else ""
    return (f' aria-describedby="{described}"' if described else "") + invalid
