"""Tokens for forms: that of a session, and the visitor's, for whom nothing is stored.

A session's token is bound to its record, its epoch and how often it was renewed. It is an HMAC, so it is not kept.

A visitor's token is good for whoever has no session, or one in which nobody is logged in. It is the hour, sealed, so it
is the same for all visitors. What keeps another site from using one is the browser's word about where a form comes from
(`Origins.is_own`). Where that is not known, a visitor's token would be worth nothing, so a session is started instead.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest

from .._seals import Keys, digests
from .envelope import Stored
from .lifetime import HOUR
from .lookup import DETACHED
from .tickets import CookieValue
from .transaction import Transaction

#: 16 bytes of seal and 8 of hour, in base64.
_VISITORS_CHARACTERS = 32


def token_of(transaction: Transaction) -> str:
    """A token for forms: the session's or, as long as there is none, the visitor's. Raises `StoreUnavailable`."""
    transaction.load()
    if not _asks_origins(transaction):
        transaction.start()
    if _has_record(transaction):
        return _tokens_now(transaction)[0]
    if transaction.visitors_token is None:
        transaction.visitors_token = _visitors_token(transaction.keys, transaction.site.now())
    return transaction.visitors_token


def is_good(transaction: Transaction, value: object) -> bool:
    """Whether this is the token of a form made in this session, or for its visitor. Raises `StoreUnavailable`."""
    if not isinstance(value, str):
        raise TypeError(f"a token must be text, not {type(value).__name__}")
    transaction.load()
    given = value.encode("utf-8", "replace")
    if _has_record(transaction) and _is_one_of(_tokens_now(transaction), given):
        return True
    if transaction.standing is DETACHED and _is_one_of(_tokens_before(transaction, transaction.missed), given):
        return True
    return _takes_visitors(transaction) and _is_visitors(
        transaction.keys, given, transaction.site.now(), transaction.site.limits.anonymous
    )


def _tokens_now(transaction: Transaction) -> list[str]:
    """The session's token as it will be once the request is saved, under every secret."""
    named, asked = transaction.stored or transaction.joins, transaction.header.csrf_renewals
    renewals = asked if named is None else named.envelope.csrf_renewals + asked
    return _session_tokens(transaction.keys, transaction.id, transaction.epoch, renewals)


def _has_record(transaction: Transaction) -> bool:
    """Whether there is a record, or will be one however this request goes on."""
    header = transaction.header
    return transaction.stored is not None or header.login is not None or header.creates


def _tokens_before(transaction: Transaction, missed: Stored | None) -> list[str]:
    """The token from before the login or renewal that this request missed, so that a second click reaches `login`."""
    if missed is None or missed.envelope.is_tombstone or not missed.envelope.epoch:
        return []
    envelope = missed.envelope
    return _session_tokens(transaction.keys, missed.record.id, envelope.epoch - 1, envelope.csrf_renewals)


def _takes_visitors(transaction: Transaction) -> bool:
    """Whether a visitor's token is good here: nobody is logged in, and the form is from a page of this very site."""
    request, stored, site = transaction.request, transaction.stored, transaction.site
    if isinstance(request, CookieValue) or not _asks_origins(transaction):
        return False
    if transaction.header.login is not None or transaction.header.csrf_renewals:
        return False
    if stored is not None and stored.envelope.authenticated_at is not None:
        return False
    known = transaction.missed if transaction.standing is DETACHED else stored
    if known is not None and known.envelope.csrf_renewals:
        return False
    is_own = site.origins.is_own(request)
    return is_own if is_own is not None else not site.tickets.are_brought(request)


def _asks_origins(transaction: Transaction) -> bool:
    return transaction.site.origins.are_asked and not isinstance(transaction.request, CookieValue)


def _session_tokens(keys: Keys, id: bytes, epoch: int, renewals: int) -> list[str]:
    """The token of a session under every secret, newest first, for forms made before a rotation."""
    message = id + epoch.to_bytes(8, "big") + renewals.to_bytes(8, "big")
    return [_text(digest) for digest in digests(keys.csrf, message)]


def _is_one_of(tokens: list[str], given: bytes) -> bool:
    return any(compare_digest(token.encode(), given) for token in tokens)


def _visitors_token(keys: Keys, now: int) -> str:
    return _text(keys.visitor.seal((now // HOUR).to_bytes(8, "big")))


def _is_visitors(keys: Keys, given: bytes, now: int, lifetime: int) -> bool:
    """Whether this is a visitor's token of the last `lifetime` seconds, or of the hour that comes next by this clock.

    A token says only in which hour it was made, so some live for almost an hour longer.
    """
    if len(given) != _VISITORS_CHARACTERS:
        return False
    try:
        opened = keys.visitor.open(urlsafe_b64decode(given))
    except ValueError:
        return False
    if opened is None:
        return False
    made_at = int.from_bytes(opened[0], "big") * HOUR
    return -HOUR <= now - made_at < lifetime + HOUR


def _text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).decode().rstrip("=")
