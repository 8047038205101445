"""What the login pages look like: plain HTML and one style sheet, without a script.

Colours, font and corners are CSS variables, so that a site makes them its own by a few lines in a style sheet of its
own, `AuthPages(stylesheet=…)`; `AuthPages(render=…)` replaces all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal

Kind = Literal["login", "register", "logout"]


@dataclass(frozen=True)
class Page:
    """All that a page has to show. Nothing in it is escaped yet."""

    kind: Kind
    action: str
    """Where its form is posted to."""
    login_path: str
    register_path: str
    home: str
    site: str = ""
    """The site's name."""
    next: str = ""
    """Where to go afterwards, to be posted back in a field `next`; empty for the usual place."""
    username: str = ""
    """What was typed before, to be shown again. A password never is."""
    error: str = ""
    """What went wrong, for people."""
    invalid: frozenset[str] = frozenset()
    """The fields that it is about."""
    notice: str = ""
    """Something else to say."""
    minimum_length: int = 0
    """Of a new password, in characters."""
    stylesheet: str = ""
    """The path of one more style sheet, after the page's own."""


TITLES: dict[Kind, str] = {"login": "Log in", "register": "Create an account", "logout": "Log out"}


def render_page(page: Page) -> str:
    """The page as HTML."""
    title = TITLES[page.kind]
    heading = f"{title} | {page.site}" if page.site else title
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
{_site(page)}<h1>{escape(title)}</h1>
{_messages(page)}<form method="post" action="{escape(page.action)}">
{_FIELDS[page.kind](page)}{_next(page)}<button type="submit">{escape(title)}</button>
</form>
{_elsewhere(page)}</main>
</body>
</html>
"""


def _stylesheet(page: Page) -> str:
    return f'<link rel="stylesheet" href="{escape(page.stylesheet)}">\n' if page.stylesheet else ""


def _site(page: Page) -> str:
    return f'<p class="site"><a href="{escape(page.home)}">{escape(page.site)}</a></p>\n' if page.site else ""


def _messages(page: Page) -> str:
    notice = f'<p class="notice" role="status">{escape(page.notice)}</p>\n' if page.notice else ""
    error = f'<p class="error" id="error" role="alert">{escape(page.error)}</p>\n' if page.error else ""
    return notice + error


def _login_fields(page: Page) -> str:
    return _username(page) + _password(page, "current-password", hint="")


def _register_fields(page: Page) -> str:
    hint = f"At least {page.minimum_length} characters. Several words are easy to remember."
    return _username(page) + _password(page, "new-password", hint=hint)


def _no_fields(_page: Page) -> str:
    return ""


_FIELDS = {"login": _login_fields, "register": _register_fields, "logout": _no_fields}


def _username(page: Page) -> str:
    return (
        '<label for="username">User name</label>\n'
        f'<input id="username" name="username" value="{escape(page.username)}" autocomplete="username" '
        f'autocapitalize="none" spellcheck="false" required{_state(page, "username", "")}>\n'
    )


def _password(page: Page, autocomplete: str, hint: str) -> str:
    shown = f'<p class="hint" id="hint">{escape(hint)}</p>\n' if hint else ""
    return (
        f'<label for="password">Password</label>\n{shown}'
        f'<input id="password" name="password" type="password" autocomplete="{autocomplete}" '
        f"required{_state(page, 'password', 'hint' if hint else '')}>\n"
    )


def _state(page: Page, field: str, hint: str) -> str:
    """Attributes that tell a screen reader what is said about the field, and that it is wrong."""
    is_invalid = field in page.invalid
    described = " ".join(filter(None, [hint, "error" if is_invalid else ""]))
    return (f' aria-describedby="{described}"' if described else "") + (' aria-invalid="true"' if is_invalid else "")


def _next(page: Page) -> str:
    return f'<input type="hidden" name="next" value="{escape(page.next)}">\n' if page.next else ""


def _elsewhere(page: Page) -> str:
    if page.kind == "login":
        return f'<p class="else">No account yet? <a href="{escape(page.register_path)}">Create one</a></p>\n'
    if page.kind == "register":
        return f'<p class="else">Already registered? <a href="{escape(page.login_path)}">Log in</a></p>\n'
    return f'<p class="else"><a href="{escape(page.home)}">Stay logged in</a></p>\n'


STYLE = """
:root {
  color-scheme: light dark;
  --sw-background: #f5f5f2;
  --sw-surface: #ffffff;
  --sw-text: #1d1f24;
  --sw-muted: #5a5f6a;
  --sw-border: #8a8f99;
  --sw-accent: #1f5fbf;
  --sw-on-accent: #ffffff;
  --sw-error: #a4161a;
  --sw-error-surface: #fdecec;
  --sw-font: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --sw-radius: 10px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --sw-background: #14161a;
    --sw-surface: #1e2127;
    --sw-text: #eceef2;
    --sw-muted: #a9afbb;
    --sw-border: #717887;
    --sw-accent: #8ab4f8;
    --sw-on-accent: #10131a;
    --sw-error: #ffb4ab;
    --sw-error-surface: #3a1f1f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 1rem;
  background: var(--sw-background); color: var(--sw-text); font: 1rem/1.5 var(--sw-font);
}
main {
  width: 100%; max-width: 24rem; padding: 2rem; background: var(--sw-surface);
  border-radius: calc(var(--sw-radius) * 1.4); box-shadow: 0 1px 3px rgb(0 0 0 / .12), 0 8px 32px rgb(0 0 0 / .08);
}
h1 { margin: 0 0 1.25rem; font-size: 1.5rem; line-height: 1.2; letter-spacing: -.01em; }
.site { margin: 0 0 .25rem; font-size: .9rem; color: var(--sw-muted); }
.site a { color: inherit; text-decoration: none; }
form { display: grid; gap: .4rem; }
label { font-weight: 600; margin-top: .6rem; }
.hint { margin: 0; font-size: .9rem; color: var(--sw-muted); }
input {
  width: 100%; padding: .65rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--sw-border); border-radius: var(--sw-radius);
}
input[aria-invalid] { border-color: var(--sw-error); border-width: 2px; }
button {
  margin-top: 1.25rem; padding: .75rem 1rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--sw-on-accent); background: var(--sw-accent);
  border: 1px solid transparent; border-radius: var(--sw-radius);
}
a { color: var(--sw-accent); }
:focus-visible { outline: 3px solid var(--sw-accent); outline-offset: 2px; }
.error, .notice { margin: 0 0 1rem; padding: .65rem .9rem; border-radius: var(--sw-radius); }
.error { color: var(--sw-error); background: var(--sw-error-surface); border: 1px solid currentColor; }
.notice { border: 1px solid var(--sw-border); }
.else { margin: 1.25rem 0 0; color: var(--sw-muted); }
"""
