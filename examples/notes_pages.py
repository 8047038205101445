"""What the notebook looks like: functions from data to HTML. Everything that comes from outside is escaped here."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import NamedTuple

SITE = "Notebook"

#: The first one follows the browser. notes.css has the colours.
THEMES = ("auto", "light", "dark")

_WAY_IN = '<a href="/login">Log in</a>'

# For who is logged in: docs/idle-warning.md says how it works.
_IDLE_WARNING = """<dialog id="idle-warning" role="alertdialog" aria-labelledby="idle-title"
 aria-describedby="idle-text">
<h2 id="idle-title">You are about to be logged out</h2>
<p id="idle-text">This happens in <span class="left">2 minutes</span>, to protect your account.</p>
<form method="post" action="/session"><button class="button">Stay logged in</button></form>
<p class="error" role="alert" hidden>That did not work. Please check your connection, and try again.</p>
<form method="dialog" hidden>
<p>You logged in a long time ago. Please save what you are working on, then log in again.</p>
<button class="button">OK</button>
</form>
</dialog>
<script src="/idle_warning.js" defer></script>
<script src="/notes.js" defer></script>
"""


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
        foot=_foot(visitor),
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
        foot=_foot(visitor, form="note"),
        is_error=bool(error),
    )


def account(visitor, messages):
    return layout(
        visitor,
        "Your account",
        f"""{_messages(messages)}<h1>Your account</h1>
<ul class="card ways">
<li><a href="/sessions">Where you are logged in</a></li>
<li><a href="/password">Change your password</a></li>
<li><a href="/account/delete">Delete your account</a></li>
</ul>""",
        foot=_foot(visitor),
    )


def delete_account(visitor, user):
    return layout(
        visitor,
        "Delete your account",
        f"""<h1>Delete your account</h1>
<form class="card" method="post" action="/account/delete">
<input type="hidden" name="owner" value="{escape(user.id)}">
<p>You are {escape(user.username)}. Your notes go with the account, at once and for good.</p>
<button class="button">Delete account and notes</button>
</form>
<p><a href="/account">Keep them</a></p>""",
        foot=_foot(visitor),
    )


def message(visitor, title, text, quote=""):
    quoted = f'<p class="card text">{escape(quote)}</p>\n' if quote else ""
    return layout(
        visitor,
        title,
        f"""<h1>{escape(title)}</h1>
<p>{escape(text)}</p>
{quoted}<p><a href="/">Back to the notebook</a></p>""",
        foot=_foot(visitor),
    )


def auth_page(visitor, page):
    """A page of AuthPages, without the switch for themes: a password that is half typed must not be sent along."""
    return layout(
        visitor,
        page.title,
        f'<section class="card auth">\n{page.html}</section>',
        way_in="",
        is_error=bool(page.error),
    )


def _foot(visitor, form="colours"):
    """What is below a page that somebody may stay on: the switch for themes, and the warning before the idle end."""
    return _themes(visitor, form) + (_IDLE_WARNING if visitor.username else "")


def _themes(visitor, form):
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


def _time(seconds):
    written = datetime.fromtimestamp(seconds, timezone.utc)
    return f'<time datetime="{written.isoformat()}">{_moment(seconds)}</time>'


def _moment(seconds):
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%d %B %Y, %H:%M} UTC"


def _invalid(error):
    return ' aria-invalid="true" aria-describedby="error"' if error else ""


def _error(text):
    return f'<p class="error" id="error" role="alert">{escape(text)}</p>\n' if text else ""
