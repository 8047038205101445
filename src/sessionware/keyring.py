"""The server's secret, and what is made from it: seals, and digests that nobody else can compute.

Each secret yields one independent key per purpose by HKDF-SHA256 (RFC 5869), so that nothing sealed for one purpose
opens for another. The newest secret seals; all of them open. To rotate without logging anyone out, in three deploys:

    1. Keyring([current, new])    every server can open what the new one will seal
    2. Keyring([new, current])    the new one seals
    3. Keyring([new])             once nothing sealed by the old one is alive
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from .errors import ConfigError
from .sealer import Sealer, TaggedSealer, derive

MIN_SECRET_CHARACTERS = 32
_MIN_DISTINCT_CHARACTERS = 8


class Keyring:
    """One secret, or several with the newest first.

    A secret is text or bytes of at least 32 characters; `python -m sessionware secret` prints a good one. Raises
    `ConfigError` for a missing, short or trivially poor secret.
    """

    def __init__(self, secret: str | bytes | Sequence[str | bytes]) -> None:
        is_one = isinstance(secret, (str, bytes)) or not isinstance(secret, Sequence)
        secrets: list[object] = [secret] if is_one else list(secret)
        if secrets in ([], [None]):
            raise _config_error("no secret was given")
        self._secrets = [_checked(each) for each in secrets]
        self._digest_keys: dict[str, list[bytes]] = {}

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._secrets)}>"

    def sealer(self, purpose: str) -> Sealer:
        """What seals and opens for this purpose. Keys are derived here, once: keep the sealer."""
        return Sealer(self._seal_keys(purpose))

    def tagged_sealer(self, purpose: str, prefix: bytes) -> TaggedSealer:
        """The same, for what begins with the prefix and says which key sealed it."""
        return TaggedSealer(self._seal_keys(purpose), prefix)

    def _seal_keys(self, purpose: str) -> list[bytes]:
        return [derive(secret, f"seal {purpose}", 64) for secret in self._secrets]

    def digest(self, purpose: str, message: bytes) -> bytes:
        """HMAC-SHA256 of the message under the newest secret: 32 bytes."""
        return self.digests(purpose, message)[0]

    def digests(self, purpose: str, message: bytes) -> list[bytes]:
        """The message's digest under every secret, newest first: to find what an older one wrote."""
        keys = self._digest_keys.get(purpose)
        if keys is None:
            keys = [derive(secret, f"digest {purpose}", 32) for secret in self._secrets]
            self._digest_keys[purpose] = keys
        return [hmac.digest(key, message, hashlib.sha256) for key in keys]


def _checked(secret: object) -> bytes:
    if not isinstance(secret, (str, bytes)):
        raise _config_error(f"a secret is text, not {type(secret).__name__}")
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise _config_error(f"the secret has {len(secret)} characters")
    if len(set(secret)) < _MIN_DISTINCT_CHARACTERS or _repeats(secret):
        raise _config_error("the secret is easy to guess")
    return secret.encode() if isinstance(secret, str) else secret


def _repeats(secret: str | bytes) -> bool:
    """Whether the text is one shorter piece over and over: it is then found again inside its own double."""
    text = secret if isinstance(secret, str) else secret.decode("latin-1")
    return (text + text).find(text, 1) < len(text)


def _config_error(problem: str) -> ConfigError:
    return ConfigError(
        f"{problem}: the secret must be at least {MIN_SECRET_CHARACTERS} random characters. "
        "Make one with `python -m sessionware secret`, keep it out of the source code, and pass it in, "
        'for example as secret=os.environ["SESSION_SECRET"].'
    )
