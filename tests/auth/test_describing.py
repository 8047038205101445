"""`describe_browser`: what browsers say about themselves, in the words that their owners would use."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware.auth import describe_browser

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT}"
MAC = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT}"
LINUX = f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT}"
PHONE = f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT}"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"

#: What browsers send, without their hints.
AGENTS = {
    f"{WINDOWS} Chrome/142.0.0.0 Safari/537.36": "Chrome on Windows",
    f"{MAC} Chrome/142.0.0.0 Safari/537.36": "Chrome on Mac",
    f"{LINUX} Chrome/142.0.0.0 Safari/537.36": "Chrome on Linux",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/142.0.0.0 Safari/537.36": "Chrome on ChromeOS",
    f"{PHONE} Chrome/142.0.0.0 Mobile Safari/537.36": "Chrome on Android",
    f"{PHONE} Chrome/142.0.0.0 Safari/537.36": "Chrome on Android tablet",
    f"Mozilla/5.0 (Linux; Android 10; CUBOT X30) {WEBKIT} Chrome/119.0.0.0 Mobile Safari/537.36": "Chrome on Android",
    f"{IPHONE} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    f"{IPAD} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1": "Chrome on iPad",
    f"{LINUX} Ubuntu Chromium/80.0.3987.87 Chrome/80.0.3987.87 Safari/537.36": "Chrome on Linux",
    f"{LINUX} HeadlessChrome/142.0.0.0 Safari/537.36": "Headless Chrome on Linux",
    f"{WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Windows",
    f"{MAC} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": "Edge on Mac",
    f"{PHONE} Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0": "Edge on Android",
    f"{IPHONE} Version/18.0 EdgiOS/142.0.3595.53 Mobile/15E148 Safari/604.1": "Edge on iPhone",
    f"{WINDOWS} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763": "Edge on Windows",
    f"{WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0 Xbox; Xbox One": "Edge on Xbox",
    f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0": "Opera on Windows",
    f"{PHONE} Chrome/140.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0": "Opera on Android",
    f"{IPHONE} Version/18.7 Mobile/15E148 Safari/604.1 OPT/6.2.1": "Opera on iPhone",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18": "Opera on Windows",
    f"{PHONE} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
    f"{WINDOWS} Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36": "Yandex Browser on Windows",
    f"{LINUX} Chrome/142.0.0.0 Safari/537.36 Vivaldi/7.6": "Vivaldi on Linux",
    f"{PHONE} Version/4.0 Chrome/142.0.0.0 Mobile DuckDuckGo/5 Safari/537.36": "DuckDuckGo on Android",
    f"{IPHONE} Version/18.7 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15": "DuckDuckGo on iPhone",
    f"Mozilla/5.0 (Linux; U; Android 13; en-US) {WEBKIT} Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.4.0.1306 "
    "Mobile Safari/537.36": "UC Browser on Android",
    f"Mozilla/5.0 (Linux; U; Android 14; en-gb) {WEBKIT} Version/4.0 Chrome/123.0.6312.118 Mobile Safari/537.36 "
    "XiaoMi/MiuiBrowser/14.33.0": "Mi Browser on Android",
    f"Mozilla/5.0 (Linux; Android 12; HarmonyOS; NOH) {WEBKIT} Chrome/114.0.5735.196 HuaweiBrowser/16.0.6 "
    "Mobile Safari/537.36": "Huawei Browser on Android",
    f"Mozilla/5.0 (Linux; Android 11; KFRAWI) {WEBKIT} Silk/142.4.1 like Chrome/142.0.7444.60 Safari/537.36": (
        "Silk on Android tablet"
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Mac",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Linux",
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:144.0) Gecko/20100101 Firefox/144.0": "Firefox on BSD",
    "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0": "Firefox on Android",
    "Mozilla/5.0 (Android 15; Tablet; rv:145.0) Gecko/145.0 Firefox/145.0": "Firefox on Android tablet",
    f"{IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15": "Firefox on iPhone",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
    "Safari/605.1.15": "Safari on Mac",
    f"{IPHONE} Version/26.1 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"{IPAD} Version/18.7 Mobile/15E148 Safari/604.1": "Safari on iPad",
    "Mozilla/5.0 (iPod touch; CPU iPhone OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 "
    "Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"{IPHONE} Mobile/15E148": "An app on iPhone",
    f"{IPHONE} Mobile/22H20 [FBAN/FBIOS;FBAV/540.0.0.30.107;FBDV/iPhone14,5]": "An app on iPhone",
    f"Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/BP1A; wv) {WEBKIT} Version/4.0 Chrome/142.0.7444.102 Mobile "
    "Safari/537.36": "An app on Android",
    f"Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) {WEBKIT} SamsungBrowser/6.2 Chrome/108.0.5359.1 TV Safari/537.36": (
        "Samsung Internet on a TV"
    ),
    "Mozilla/5.0 (PlayStation; PlayStation 5/9.00) AppleWebKit/605.1.15": "A browser on PlayStation",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko": "Internet Explorer on Windows",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows Phone 8.0; Trident/6.0; IEMobile/10.0)": (
        "Internet Explorer on Windows Phone"
    ),
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "A bot",
    f"{WEBKIT} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36": "A bot",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "A bot",
    "curl/8.14.1": "curl",
    "Wget/1.25.0": "Wget",
    "python-requests/2.32.5": "Python",
    "Go-http-client/2.0": "Go",
    "okhttp/5.1.0": "An app on Android",
    "PostmanRuntime/7.49.1": "Postman",
    "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1": "A text browser",
    "SomethingElse/1.0": None,
    "Mozilla/5.0": None,
    "-": None,
    "": None,
}

CHROME = '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'

#: What Chromium's kin sends beside it: brands, platform, whether it is a phone; and the same one's User-Agent.
HINTS = [
    (CHROME, '"Windows"', "?0", f"{WINDOWS} Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"),
    (CHROME, '"macOS"', "?0", f"{MAC} Chrome/142.0.0.0 Safari/537.36", "Chrome on Mac"),
    (CHROME, '"Linux"', "?0", f"{LINUX} Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"),
    (CHROME, '"Android"', "?1", f"{PHONE} Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
    (CHROME, '"Android"', "?0", f"{PHONE} Chrome/142.0.0.0 Safari/537.36", "Chrome on Android tablet"),
    (
        '"Chromium";v="142", "Microsoft Edge";v="142", "Not_A Brand";v="99"',
        '"Windows"',
        "?0",
        f"{WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        "Edge on Windows",
    ),
    (
        '"Opera";v="124", "Chromium";v="140", "Not A(Brand";v="24"',
        '"Windows"',
        "?0",
        f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0",
        "Opera on Windows",
    ),
    (
        '"Not)A;Brand";v="8", "Chromium";v="136", "Samsung Internet";v="29.0"',
        '"Android"',
        "?1",
        f"{PHONE} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
        "Samsung Internet on Android",
    ),
    (
        '"Brave";v="142", "Chromium";v="142", "Not_A Brand";v="99"',
        '"Linux"',
        "?0",
        f"{LINUX} Chrome/142.0.0.0 Safari/537.36",
        "Chrome on Linux",
    ),
    (
        '"Chromium";v="142", "HeadlessChrome";v="142", "Not_A Brand";v="99"',
        '"Linux"',
        "?0",
        f"{LINUX} HeadlessChrome/142.0.0.0 Safari/537.36",
        "Headless Chrome on Linux",
    ),
]


@pytest.mark.parametrize(("agent", "words"), AGENTS.items(), ids=[agent[:120] for agent in AGENTS])
def test_browser_is_known_by_its_user_agent(agent: str, words: str | None) -> None:
    """As its owner would call it, without any version."""
    assert describe_browser({"HTTP_USER_AGENT": agent}) == words


@pytest.mark.parametrize(("brands", "platform", "mobile", "agent", "words"), HINTS)
def test_browser_is_called_the_same_with_and_without_its_hints(
    brands: str, platform: str, mobile: str, agent: str, words: str
) -> None:
    """Websockets, and pages over plain http, come without any. It must not look as if the browser had changed."""
    hints = {"HTTP_SEC_CH_UA": brands, "HTTP_SEC_CH_UA_PLATFORM": platform, "HTTP_SEC_CH_UA_MOBILE": mobile}

    assert describe_browser(hints) == words
    assert describe_browser({**hints, "HTTP_USER_AGENT": agent}) == words
    assert describe_browser({"HTTP_USER_AGENT": agent}) == words


def test_hints_win() -> None:
    """They are what the browser is; the rest is what it pretends to be, so that old pages work."""
    environ = {"HTTP_SEC_CH_UA": CHROME, "HTTP_SEC_CH_UA_PLATFORM": '"Linux"', "HTTP_USER_AGENT": "Mozilla/5.0"}

    assert describe_browser(environ) == "Chrome on Linux"


def test_hints_that_say_nothing_are_passed_over() -> None:
    """A browser that nobody knows, or a platform that nobody knows."""
    environ = {
        "HTTP_SEC_CH_UA": '"Not_A Brand";v="99"',
        "HTTP_SEC_CH_UA_PLATFORM": '"Fuchsia"',
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    }

    assert describe_browser(environ) == "Firefox on Linux"


def test_nothing_is_known_of_a_request_without_headers() -> None:
    """As a program may send one."""
    assert describe_browser({}) is None


HEADERS = st.sampled_from(
    ["HTTP_USER_AGENT", "HTTP_SEC_CH_UA", "HTTP_SEC_CH_UA_PLATFORM", "HTTP_SEC_CH_UA_MOBILE", "REMOTE_ADDR"]
)
PIECES = st.sampled_from([*AGENTS, *(hint for line in HINTS for hint in line[:3]), '"', "\u202e", "\x00", "\r\n"])
VALUES = st.one_of(
    st.text(max_size=2000), st.binary(max_size=600).map(lambda b: b.decode("latin-1")), st.lists(PIECES).map("".join)
)


@given(st.dictionaries(HEADERS, VALUES))
def test_whatever_is_sent_the_words_are_harmless(environ: dict[str, Any]) -> None:
    """Short, and without any character that is not plain text; nothing is raised."""
    words = describe_browser(environ)

    assert words is None or 0 < len(words) <= 60
    assert not any(unicodedata.category(letter).startswith("C") for letter in words or "")
    assert (words or "").isascii()
