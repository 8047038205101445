"""What the notebook looks like: functions from data to HTML. Everything that comes from outside is escaped here."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import NamedTuple

from sessionware.auth import Page

SITE = "Notebook"

#: The first one follows the browser. notes.css has the colours.
THEMES = ("auto", "light", "dark")

_WAY_IN = '<a href="/login">Log in</a>'


class Visitor(NamedTuple):
    """Whom a page is for. Its frame says so, and is the same on every page."""

    username: str | None
    theme: str
    here: str  # the path of the page, to come back to


def layout(visitor, title, main, *, way_in=_WAY_IN, foot="", is_error=False):
    """One page. `main`, `way_in` and `foot` are HTML, `title` is text."""
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="{escape(visitor.theme)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{"Error: " if is_error else ""}{escape(title)} | {SITE}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="brand" href="/">{SITE}</a>
<nav aria-label="Account">
{_account(visitor.username) if visitor.username else way_in}
</nav>
</header>
<main id="main">
{main}
</main>
{foot}</body>
</html>
"""


def welcome(visitor, visits, messages):
    return layout(
        visitor,
        "Welcome",
        f"""{_messages(messages)}<section class="hero">
<h1>A quiet place for your notes</h1>
<p class="lead">Write something down, close the tab, and find it again tomorrow. Nobody but you can read it.</p>
<p class="actions">
<a class="button" href="/register">Create an account</a> <a class="button plain" href="/login">Log in</a>
</p>
</section>
{_visits(visits)}""",
        foot=_themes(visitor),
    )


def notebook(visitor, user, notes, visits, messages, text, error):
    listed = (
        "\n".join(_note(*note) for note in notes) or '<p class="empty">Nothing here yet. The first note is yours.</p>'
    )
    return layout(
        visitor,
        f"{user.username}'s notes",
        f"""{_messages(messages)}<h1>{escape(user.username)}'s notes</h1>
{_note_form(user, text, error)}
<section aria-label="Notes" class="notes">
{listed}
</section>
{_visits(visits)}""",
        foot=_themes(visitor, form="note"),
        is_error=bool(error),
    )


def account(visitor, sessions, messages, error):
    listed = "\n".join(map(_session, sessions))
    others = len(sessions) > 1
    end_others = """<form method="post" action="/account/end-others">
<button class="button plain">Log out everywhere else</button>
</form>"""
    return layout(
        visitor,
        "Your account",
        f"""{_messages(messages)}<h1>Your account</h1>
<section aria-labelledby="sessions">
<h2 id="sessions">Where you are logged in</h2>
{listed}
{end_others if others else ""}</section>
<section class="card danger" aria-labelledby="delete">
<h2 id="delete">Delete your account</h2>
<p>Your notes go with it, at once and for good.</p>
<form method="post" action="/account/delete">
{_error(error)}<label for="password">Your password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{_invalid(error)}>
<button class="button">Delete account and notes</button>
</form>
</section>""",
        foot=_themes(visitor),
        is_error=bool(error),
    )


def message(visitor, title, text, quote):
    quoted = f'<p class="card text">{escape(quote)}</p>\n' if quote else ""
    return layout(
        visitor,
        title,
        f"""<h1>{escape(title)}</h1>
<p>{escape(text)}</p>
{quoted}<p><a href="/">Back to the notebook</a></p>""",
        foot=_themes(visitor),
    )


def auth_page(visitor, page: Page):
    """A page of AuthPages, without the switch for themes: a password that is half typed must not be sent along."""
    notice = _messages([page.notice]) if page.notice else ""
    return layout(
        visitor,
        page.title,
        f"""<section class="card narrow">
<h1>{escape(page.title)}</h1>
{notice}{_error("" if any(field.error for field in page.fields) else page.error)}{_form(page)}
{"".join(map(_elsewhere, page.links))}</section>""",
        way_in="",
        is_error=bool(page.error),
    )


def _themes(visitor, form="colours"):
    """The switch at the foot of a page. Its buttons send along what is in that other form, so that nothing is lost."""
    buttons = "\n".join(
        f'<button form="{form}" formaction="/theme" name="theme" value="{theme}"'
        f' aria-pressed="{"true" if theme == visitor.theme else "false"}">{theme.capitalize()}</button>'
        for theme in THEMES
    )
    return f"""<footer class="foot" id="foot">
<form id="colours" method="post" action="/theme"><input type="hidden" name="next" value="{escape(visitor.here)}"></form>
<div class="themes" role="group" aria-label="Colours">
{buttons}
</div>
</footer>
"""


def _account(username):
    return f"""<a class="who" href="/account">{escape(username)}</a>
<form method="post" action="/logout"><button class="link">Log out</button></form>"""


def _messages(messages):
    return "".join(f'<p class="message" role="status">{escape(str(text))}</p>\n' for text in messages)


def _visits(visits):
    times = "for the first time" if visits == 1 else f"{visits} times"
    return f'<p class="visits">You have opened this page <strong>{times}</strong>.</p>'


def _note_form(user, text, error):
    return f"""<form class="card" id="note" method="post" action="/notes">
<input type="hidden" name="author" value="{escape(user.id)}">
<label for="text">New note</label>
{_error(error)}<textarea id="text" name="text" rows="3"{_invalid(error)}>{escape(text)}</textarea>
<button class="button">Save</button>
</form>"""


def _note(id, text, written_at):
    return f"""<article class="card note">
<p class="text">{escape(text)}</p>
<footer>
{_time(written_at)}
<form method="post" action="/notes/delete"><button class="link" name="id" value="{escape(id)}"
 aria-label="Delete the note: {escape(text[:40])}">Delete</button></form>
</footer>
</article>"""


def _session(session):
    if session.is_current:
        end = "<strong>This browser</strong>"
    else:
        end = f"""<form method="post" action="/account/end"><button class="link" name="id" value="{escape(session.id)}"
 aria-label="End the session that began on {_moment(session.authenticated_at)}">End</button></form>"""
    used = f", last used {_moment(session.last_used_at)}" if session.last_used_at else ""
    return f"""<article class="card note">
<footer><span>Since {_time(session.authenticated_at)}{used}</span>
{end}</footer>
</article>"""


def _time(seconds):
    written = datetime.fromtimestamp(seconds, timezone.utc)
    return f'<time datetime="{written.isoformat()}">{_moment(seconds)}</time>'


def _moment(seconds):
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%d %B %Y, %H:%M} UTC"


def _invalid(error):
    return ' aria-invalid="true" aria-describedby="error"' if error else ""


def _form(page):
    """The form, if the page has one: whoever is logged in already gets none."""
    if not page.submit:
        return ""
    next_field = f'<input type="hidden" name="next" value="{escape(page.next)}">\n' if page.next else ""
    return f"""<form method="post" action="{escape(page.action)}">
{"".join(map(_field, page.fields))}{next_field}<button class="button">{escape(page.submit)}</button>
</form>"""


def _field(field):
    hint = f'<p class="hint" id="{field.name}-hint">{escape(field.hint)}</p>\n' if field.hint else ""
    focus = " autofocus" if field.has_focus else ""
    kind = 'type="password"' if field.kind == "password" else f'value="{escape(field.value)}" autocapitalize="none"'
    return f"""<label for="{field.name}">{escape(field.label)}</label>
{hint}{_field_error(field)}<input id="{field.name}" name="{field.name}" {kind} autocomplete="{field.autocomplete}"
 spellcheck="false" required{focus}{_state(field)}>
"""


def _field_error(field):
    return f'<p class="error" id="{field.name}-error" role="alert">{escape(field.error)}</p>\n' if field.error else ""


def _state(field):
    """What tells a screen reader which texts belong to the field, and that it is wrong."""
    error = f"{field.name}-error" if field.error else "error"
    texts = [f"{field.name}-hint" if field.hint else "", error if field.is_invalid else ""]
    described = " ".join(filter(None, texts))
    invalid = ' aria-invalid="true"' if field.is_invalid else ""
    return invalid + (f' aria-describedby="{described}"' if described else "")


def _elsewhere(link):
    question = f"{escape(link.question)} " if link.question else ""
    return f'<p class="elsewhere">{question}<a href="{escape(link.href)}">{escape(link.label)}</a></p>\n'


def _error(text):
    return f'<p class="error" id="error" role="alert">{escape(text)}</p>\n' if text else ""
