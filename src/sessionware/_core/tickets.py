"""The ticket, which is what a session's cookie says: how it is sealed, found in a request and put into a response.

A ticket names a record and holds the token that proves the right to it. Sealed, it is 64 characters of
`[A-Za-z0-9_-]`: 16 bytes of id and 16 of token make 48 sealed ones. The store gets the id but never the token. It keeps
the token's SHA-256, so a stolen table opens no session. (A plain, fast hash is right here, because nobody can guess 128
random bits.) Cookies and their prefixes are read by the rules of RFC 6265bis (draft-ietf-httpbis-rfc6265bis).
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64, b2a_base64
from dataclasses import replace
from typing import NamedTuple

from .._seals import Keys, Sealer
from .._types import Environ
from ..cookie import Cookie, _is_domain
from .environ import is_https

ID_BYTES = TOKEN_BYTES = 16
SEALED_CHARACTERS = 64

#: No browser has a good reason to send more cookies of one name than this, and each costs a decryption.
MAX_CANDIDATES = 8

_LONG_AGO = "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"

_BLANK_SHA256 = hashlib.sha256()
_FROM_STANDARD_BASE64 = bytes.maketrans(b"+/", b"-_")

#: Characters outside the URL-safe alphabet become ones that `a2b_base64` skips, so too few of 64 are left to open.
_TO_STANDARD_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")


_is_ticket = re.compile(rf"[A-Za-z0-9_-]{{{SEALED_CHARACTERS}}}", re.ASCII).fullmatch


class Token(NamedTuple):
    """What proves the right to a record: 128 random bits, new at each login."""

    secret: bytes

    def __repr__(self) -> str:
        """Without the bits, because an error report shows the variables of every frame."""
        return "Token()"


class Ticket(NamedTuple):
    """A record's id and its token; `is_stale` says that an old secret sealed it.

    `rivals` are other tickets that came with the request: cookies from before and after a login, planted ones, and ones
    that the browser keeps apart because the cookie's attributes changed.
    """

    id: bytes
    token: bytes
    is_stale: bool = False
    rivals: tuple[Ticket, ...] = ()

    def __repr__(self) -> str:
        """Without the token."""
        return f"Ticket({self.id.hex()})"


class CookieValue(NamedTuple):
    """A request of which only the value of its cookie is known, if it had one."""

    value: str | None

    def __repr__(self) -> str:
        """Without the value."""
        return "CookieValue()"


class CookieConflict(Exception):
    """Cookies of the same name that cannot be told apart: too many, or several that open live sessions."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Tickets:
    """Finds the session's ticket in a request, and writes tickets into responses."""

    def __init__(self, cookie: Cookie) -> None:
        self._cookie = cookie
        self._secure_name = wire_name(cookie, secure=True)
        self._is_secure = is_https if cookie.secure == "auto" else lambda _environ: bool(cookie.secure)

    @property
    def samesite(self) -> str:
        """Which requests from other sites carry the cookie."""
        return self._cookie.samesite

    def read(self, keys: Keys, environ: Environ) -> Ticket | None:
        """The ticket that the request carries, or None. Raises nothing but `CookieConflict`, whatever was sent."""
        header = environ.get("HTTP_COOKIE")
        if not header:
            return None
        if self._is_secure(environ):
            name, sealer = self._secure_name, keys.secure_ticket
        else:
            name, sealer = self._cookie.name, keys.plain_ticket
        values = _values_of(name, header)
        if len(values) > 1:
            return _one_of([ticket for value in values if (ticket := open_ticket(sealer, value))])
        return open_ticket(sealer, values[0]) if values else None

    def sent(self, keys: Keys, request: Environ | CookieValue) -> Ticket | None:
        """The ticket that came with the request, if there is exactly one session that it can mean."""
        if isinstance(request, CookieValue):
            return None if request.value is None else open_ticket(keys.plain_ticket, request.value)
        try:
            ticket = self.read(keys, request)
        except CookieConflict:
            return None
        return None if ticket is None or any(rival.id != ticket.id for rival in ticket.rivals) else ticket

    def are_brought(self, environ: Environ) -> bool:
        """Whether the request brings a cookie of our name, with or without the prefix, whatever is in it."""
        names, pairs = names_of(self._cookie), environ.get("HTTP_COOKIE", "").split(";")
        return any(pair.strip(" \t").partition("=")[0] in names for pair in pairs)

    def are_unknown(self, environ: Environ) -> bool:
        """Whether a cookie that did not open looks as if a secret that this server does not have had sealed it."""
        try:
            return bool(_values_of(self.name(environ), environ.get("HTTP_COOKIE", "")))
        except CookieConflict:
            return False

    def are_out_of_reach(self, keys: Keys, environ: Environ) -> bool:
        """Whether the request brings our Secure cookie, but does not seem to use https, so that it must not be read."""
        if self._cookie.secure != "auto" or self._secure_name not in environ.get("HTTP_COOKIE", ""):
            return False
        if self._is_secure(environ):
            return False
        try:
            values = _values_of(self._secure_name, environ["HTTP_COOKIE"])
        except CookieConflict:
            return False
        return any(open_ticket(keys.secure_ticket, value) is not None for value in values)

    def look_alikes(self, request: Environ | CookieValue) -> str:
        """What to tell of cookies that look like ours but for their names: another process may use another name."""
        if isinstance(request, CookieValue) or "HTTP_COOKIE" not in request:
            return ""
        pairs = [pair.strip(" \t").partition("=") for pair in request["HTTP_COOKIE"].split(";")]
        named = {ascii(name) for name, _, value in pairs if _is_ticket(value) and name not in names_of(self._cookie)}
        few = ", ".join(sorted(named)[:3])
        return f"no {self.name(request)} came, but what looks like a session's cookie: {few[:100]}" if few else ""

    def name(self, environ: Environ) -> str:
        """The cookie's name in this request, and in the response to it."""
        return self._secure_name if self._is_secure(environ) else self._cookie.name

    def value(self, keys: Keys, request: Environ | CookieValue, ticket: Ticket) -> str:
        """This ticket as a cookie's value, for the browser that sent this request."""
        is_secure = not isinstance(request, CookieValue) and self._is_secure(request)
        return seal_ticket(keys.secure_ticket if is_secure else keys.plain_ticket, ticket)

    def issue(self, keys: Keys, environ: Environ, ticket: Ticket, max_age: int | None) -> str:
        """The Set-Cookie line that gives the browser this ticket."""
        return set_cookie(
            self._cookie, self.value(keys, environ, ticket), secure=self._is_secure(environ), max_age=max_age
        )

    def expire(self, environ: Environ) -> str:
        """The Set-Cookie line that removes the cookie. It repeats every attribute, else browsers keep the cookie."""
        return set_cookie(self._cookie, "", secure=self._is_secure(environ), max_age=0) + _LONG_AGO

    def values_beside(self, environ: Environ, suffix: str) -> list[str]:
        """The values of cookies that have the session cookie's name with this at the end. Few, whatever was sent."""
        name = wire_name(self._beside(suffix), secure=self._is_secure(environ))
        pairs = [pair.strip(" \t").partition("=") for pair in environ.get("HTTP_COOKIE", "").split(";") if name in pair]
        return [value for candidate, _, value in pairs if candidate == name][:MAX_CANDIDATES]

    def issue_beside(self, environ: Environ, suffix: str, value: str, max_age: int) -> str:
        """The Set-Cookie line for such a cookie, with the attributes of the session's."""
        return set_cookie(self._beside(suffix), value, secure=self._is_secure(environ), max_age=max_age)

    def _beside(self, suffix: str) -> Cookie:
        return replace(self._cookie, name=f"{self._cookie.name}_{suffix}")

    def expire_twins(self, environ: Environ) -> list[str]:
        """The Set-Cookie lines that remove cookies of the same name which browsers keep beside ours.

        They were set while the cookie had another `domain`, or was `partitioned` or not.
        """
        cookie, is_secure, name = self._cookie, self._is_secure(environ), self.name(environ)
        own = cookie.domain.lower() if cookie.domain else None
        domains = [own]
        if not name.startswith("__Host-"):
            domains += [domain for domain in dict.fromkeys((None, _host_of(environ))) if domain != own]
        partitions = [cookie.partitioned, not cookie.partitioned] if is_secure else [False]
        twins = [(domain, is_partitioned) for domain in domains for is_partitioned in partitions][1:]
        return [
            _line(name, "", cookie, domain, is_partitioned, secure=is_secure, max_age=0) + _LONG_AGO
            for domain, is_partitioned in twins
        ]


def token_hash(token: bytes) -> bytes:
    """What the record keeps of a token."""
    digest = _BLANK_SHA256.copy()  # each `sha256()` makes OpenSSL look the algorithm up, which takes longer than this
    digest.update(token)
    return digest.digest()


def seal_ticket(sealer: Sealer, ticket: Ticket) -> str:
    """The cookie's value."""
    encoded = b2a_base64(sealer.seal(ticket.id + ticket.token), newline=False)
    return encoded.translate(_FROM_STANDARD_BASE64).decode()


def open_ticket(sealer: Sealer, value: str) -> Ticket | None:
    """The ticket in a cookie's value, or None for anything that this server did not seal for this name."""
    if len(value) != SEALED_CHARACTERS:
        return None
    try:
        sealed = a2b_base64(value.encode().translate(_TO_STANDARD_BASE64))
    except ValueError:
        return None
    opened = sealer.open(sealed)
    if opened is None:
        return None
    plaintext, is_stale = opened
    return Ticket(plaintext[:ID_BYTES], plaintext[ID_BYTES:], is_stale)


def wire_name(cookie: Cookie, *, secure: bool) -> str:
    """The name that browsers see, if Secure with the prefix that makes them enforce where the cookie comes from."""
    if not secure:
        return cookie.name
    return f"__Secure-{cookie.name}" if cookie.domain or cookie.path != "/" else f"__Host-{cookie.name}"


def names_of(cookie: Cookie) -> tuple[str, ...]:
    """The names that the site's cookie can have."""
    both = {True: wire_name(cookie, secure=True), False: cookie.name}
    return tuple(both.values()) if cookie.secure == "auto" else (both[bool(cookie.secure)],)


def set_cookie(cookie: Cookie, value: str, *, secure: bool, max_age: int | None) -> str:
    """A Set-Cookie line. Without `max_age` (seconds) the browser forgets the cookie when it is closed."""
    name = wire_name(cookie, secure=secure)
    return _line(name, value, cookie, cookie.domain, cookie.partitioned, secure=secure, max_age=max_age)


def _line(
    name: str,
    value: str,
    cookie: Cookie,
    domain: str | None,
    partitioned: bool,
    *,
    secure: bool,
    max_age: int | None,
) -> str:
    return "".join(
        (
            f"{name}={value}; Path={cookie.path}; HttpOnly; SameSite={cookie.samesite}",
            "; Secure" if secure else "",
            f"; Domain={domain}" if domain else "",
            "; Partitioned" if partitioned else "",
            f"; Max-Age={max_age}" if max_age is not None else "",
        )
    )


def _host_of(environ: Environ) -> str | None:
    """The host that the browser asked for, if it can be a cookie's domain."""
    host = str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()
    return host if _is_domain(host) else None


def _one_of(tickets: list[Ticket]) -> Ticket | None:
    """The first, with the others as its rivals."""
    if not tickets:
        return None
    first, *rivals = tickets
    return first._replace(rivals=tuple(rivals))


def _values_of(name: str, header: str) -> list[str]:
    """The distinct values, in order, of cookies that have exactly this name and a ticket's length.

    Raises `CookieConflict` if there are too many to look into.

    Only space and tab are stripped. If more were (str.strip takes 25 kinds of white space), a browser's
    "\\xa0__Host-sid" would pass for the real cookie, without any of the prefix's guarantees. Quoted values are not
    unwrapped, because no ticket is ever sent in quotes.
    """
    values = []
    for pair in header.split(";"):
        if name not in pair:
            continue
        candidate, _, value = pair.strip(" \t").partition("=")
        if candidate == name and len(value) == SEALED_CHARACTERS and value not in values:
            values.append(value)
            if len(values) > MAX_CANDIDATES:
                raise CookieConflict(f"more than {MAX_CANDIDATES} cookies named {name} came at once")
    return values
