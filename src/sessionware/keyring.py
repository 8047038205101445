"""The server's secret, or several of them while one replaces another. The keys derived from them are in `_seals`.

The newest secret seals; all of them open. To rotate without logging anyone out, in three deploys:

    1. Keyring([current, new])    every server can open what the new one will seal
    2. Keyring([new, current])    the new one seals
    3. Keyring([new])             once nothing sealed by the old one is alive
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import ConfigError

_MIN_CHARACTERS = 32
_MIN_DISTINCT_CHARACTERS = 8


class Keyring:
    """One secret, or several with the newest first.

    A secret is text or bytes of at least 32 characters; `python -m sessionware secret` prints a good one. Raises
    `ConfigError` if a secret is missing, short or easy to guess.
    """

    def __init__(self, secret: str | bytes | Sequence[str | bytes]) -> None:
        is_one = isinstance(secret, (str, bytes)) or not isinstance(secret, Sequence)
        secrets: list[object] = [secret] if is_one else list(secret)
        if secrets in ([], [None]):
            raise _config_error("no secret was given")
        self._secrets = tuple(_checked(each) for each in secrets)

    def __repr__(self) -> str:
        """How many secrets there are, without showing any."""
        return f"<Keyring of {len(self._secrets)}>"


def _checked(secret: object) -> bytes:
    if not isinstance(secret, (str, bytes)):
        raise _config_error(f"a secret must be text or bytes, not {type(secret).__name__}")
    if len(secret) < _MIN_CHARACTERS:
        raise _config_error(f"the secret has {len(secret)} characters")
    if len(set(secret)) < _MIN_DISTINCT_CHARACTERS or _repeats(secret):
        raise _config_error("the secret is easy to guess")
    try:
        return secret.encode() if isinstance(secret, str) else secret
    except UnicodeEncodeError:
        raise _config_error("the secret has characters that are not text") from None


def _repeats(secret: str | bytes) -> bool:
    """Whether the text is one shorter piece, repeated. If so, it occurs once more inside its own double."""
    text = secret if isinstance(secret, str) else secret.decode("latin-1")
    return (text + text).find(text, 1) < len(text)


def _config_error(problem: str) -> ConfigError:
    return ConfigError(
        f"{problem}: the secret must be at least {_MIN_CHARACTERS} random characters. "
        "Make one with `python -m sessionware secret --file session-secret`, keep it out of the source code, and pass "
        'it in as secret=Path("session-secret").read_text().split().'
    )
