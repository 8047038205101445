"""By which browser and from which address a session is used, in words that its owner knows it by.

Only words of the tables below are ever returned, whatever a header says: the list of sessions is no place for a
stranger's text. Versions are left out. They change every few weeks, and would make one browser look like many.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable
from functools import partial

from .._checks import shown, takes
from .._types import Environ
from ..errors import ConfigError
from ..session import Place, Session
from .where import on_entry

_logger = logging.getLogger("sessionware")

Describe = Callable[[Environ], str | None]
"""Takes an environ, and returns a few words about the browser that sent it, or None."""

_MOST_CHARACTERS = 60
_MOST_OF_ADDRESS = 64
_MOST_OF_HEADER = 512

#: Brands in Sec-CH-UA, the one to name first. All of these say "Chromium" as well. Browsers that call themselves Chrome
#: in User-Agent, such as Brave, are called so here too: a websocket comes without hints, and is the same browser.
_BRANDS = {
    "HeadlessChrome": "Headless Chrome",
    "Microsoft Edge": "Edge",
    "Opera": "Opera",
    "Samsung Internet": "Samsung Internet",
    "YaBrowser": "Yandex Browser",
    "DuckDuckGo": "DuckDuckGo",
    "Android WebView": "An app",
    "Google Chrome": "Chrome",
    "Chromium": "Chrome",
}

_PLATFORMS = {
    "Windows": "Windows",
    "macOS": "Mac",
    "Linux": "Linux",
    "Android": "Android",
    "Chrome OS": "ChromeOS",
    "Chromium OS": "ChromeOS",
}

#: What a User-Agent contains, and whose that is. The first that is found counts, because most claim to be others too.
_BROWSERS = [
    (r"HeadlessChrome/", "Headless Chrome"),
    # Not the phones of Cubot.
    (r"(?<!cu)bot\b|crawl|spider|Slurp|facebookexternalhit|Mediapartners-Google", "A bot"),
    (r"\b(Edg|EdgA|EdgiOS|Edge)/", "Edge"),
    (r"\b(OPR|OPT|OPX|OPiOS|Opera)\b", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"YaBrowser/", "Yandex Browser"),
    (r"Vivaldi/", "Vivaldi"),
    (r"\b(DuckDuckGo|Ddg)/", "DuckDuckGo"),
    (r"\b(UCBrowser|UBrowser)/", "UC Browser"),
    (r"MiuiBrowser/", "Mi Browser"),
    (r"HuaweiBrowser/", "Huawei Browser"),
    (r"\bSilk/", "Silk"),
    (r"\b(Firefox|FxiOS|Focus)/", "Firefox"),
    (r"; wv\)|\b(FBAN|FBAV|Instagram|Line)[/ ]", "An app"),
    (r"\b(Chrome|CriOS|Chromium)/", "Chrome"),
    (r"\bVersion/.*\bSafari/", "Safari"),
    (r"\bMSIE |Trident/", "Internet Explorer"),
    (r"\b(iPhone|iPad)\b.*AppleWebKit/", "An app"),
    (r"^curl/", "curl"),
    (r"^Wget/", "Wget"),
    (r"^(python-requests|python-httpx|Python-urllib|python-urllib3|Python|aiohttp)/", "Python"),
    (r"^Go-http-client/", "Go"),
    (r"^(Java|Apache-HttpClient)/", "Java"),
    (r"^okhttp/", "An app on Android"),
    (r"^PostmanRuntime/", "Postman"),
    (r"^(node|axios|undici|node-fetch)\b", "Node.js"),
    (r"^(Lynx|ELinks|Links|w3m)\b", "A text browser"),
]

_SYSTEMS = [
    (r"\biPhone\b", "iPhone"),
    (r"\biPad\b", "iPad"),
    (r"\bWindows Phone\b", "Windows Phone"),
    (r"\bXbox\b", "Xbox"),
    (r"\bPlayStation\b", "PlayStation"),
    (r"\b(SMART-TV|SmartTV|Web0S|AppleTV|BRAVIA|GoogleTV)\b", "a TV"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bAndroid\b.*\bMobile\b", "Android"),
    (r"\bAndroid\b", "Android tablet"),
    (r"\bWindows\b", "Windows"),
    (r"\bMacintosh\b|\bMac OS X\b", "Mac"),
    (r"\b(FreeBSD|OpenBSD|NetBSD)\b", "BSD"),
    (r"\b(Linux|X11|Ubuntu)\b", "Linux"),
]

_Table = list[tuple[re.Pattern[str], str]]

_find_browsers: _Table = [(re.compile(pattern, re.IGNORECASE), words) for pattern, words in _BROWSERS]
_find_systems: _Table = [(re.compile(pattern), words) for pattern, words in _SYSTEMS]
_brands_in = re.compile(r'"([^"\\]{1,60})"').findall


def describe_browser(environ: Environ) -> str | None:
    """A few words about the browser of a request, such as "Firefox on Windows"; None if its headers say nothing.

    What anybody sends is believed, because it only helps people to recognise their own browsers. An iPad says that it
    is a Mac unless its owner asks for mobile pages.
    """
    agent = _header(environ, "HTTP_USER_AGENT")
    browser = _by_hint(environ) or _first(_find_browsers, agent)
    system = _system_by_hint(environ) or _first(_find_systems, agent)
    if browser is None:
        return None if system is None else f"A browser on {system}"
    return browser if system is None or " on " in browser else f"{browser} on {system}"


def _by_hint(environ: Environ) -> str | None:
    brands = _brands_in(_header(environ, "HTTP_SEC_CH_UA"))
    return next((words for brand, words in _BRANDS.items() if brand in brands), None)


def _system_by_hint(environ: Environ) -> str | None:
    platform = _PLATFORMS.get(_header(environ, "HTTP_SEC_CH_UA_PLATFORM").strip('" '))
    is_tablet = platform == "Android" and _header(environ, "HTTP_SEC_CH_UA_MOBILE") == "?0"
    return "Android tablet" if is_tablet else platform


def _header(environ: Environ, key: str) -> str:
    return str(environ.get(key, ""))[:_MOST_OF_HEADER]


def _first(table: _Table, text: str) -> str | None:
    return next((words for pattern, words in table if pattern.search(text)), None)


class Devices:
    """Tells the sessions of a site where they are used.

    `describe` is None if nobody is to know. Then what an earlier setting stored goes when the session is written next.
    """

    def __init__(self, describe: Describe | None) -> None:
        if describe is not None and not (callable(describe) and takes(describe, 1)):
            raise ConfigError(
                f"describe={shown(describe)}: pass a function that takes an environ and returns a few words about the "
                "browser; or None, so that neither browser nor address is kept."
            )
        self._describe = describe

    def follow(self, session: Session, environ: Environ) -> None:
        """Keep, with the login of this session, where it is used. This costs next to nothing until it is written."""
        session._seen_from(partial(self._place, session, environ))

    def _place(self, session: Session, environ: Environ) -> Place:
        if self._describe is None:
            return Place(None, None)
        came_in = on_entry(session, environ)
        address = session._transaction.site.told_address(came_in)
        return Place(self._words(self._describe, came_in), cleaned(address or "", _MOST_OF_ADDRESS))

    def _words(self, describe: Describe, environ: Environ) -> str | None:
        """What `describe` says. A login must not fail because a list of sessions will say less about it."""
        try:
            words: object = describe(environ)
        except Exception:
            _logger.exception("describe= failed, so the session's list does not say which browser this is")
            return None
        if words is not None and not isinstance(words, str):
            _logger.error("describe= returned an object of type %s; return text or None", type(words).__name__)
            return None
        return None if words is None else cleaned(words, _MOST_CHARACTERS)


def cleaned(text: str, most: int) -> str | None:
    """At most so many characters of a text, without those that would turn what stands around it about, or hide it.

    None if nothing is left.
    """
    text = text[: 4 * most]
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if letter.isspace() else letter for letter in text if _is_plain(letter))
    return " ".join(text.split())[:most].rstrip() or None


def _is_plain(letter: str) -> bool:
    """Whether it is neither a control nor a format character (bidi marks are some), nor half of one (a surrogate)."""
    return letter.isspace() or not unicodedata.category(letter).startswith("C")
