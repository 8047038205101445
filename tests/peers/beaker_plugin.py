"""A plugin for pytest: puts sessionware in Beaker's place, before anything imports Beaker's own sessions.

Those tests use secrets such as "blah", which are refused, keep sessions in the cookie, which needs a store here, and
remove the directories of stores that are in use. So the plugin gives them a secret and a store, and what they do not
see therefore is how a secret and a store are found by the options, and which `encrypt_key` is without meaning. That is
in `tests/contrib/test_beaker.py`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from beaker.container import MemoryNamespaceManager

from sessionware import Keyring, MemoryStore
from sessionware.contrib import _beaker_options, beaker

STORE = MemoryStore()


def good_secret(options: dict[str, Any]) -> Keyring:
    """Another one for each that the test would have."""
    given = [options.get(name) for name in ("secret", "validate_key", "encrypt_key")]
    return Keyring(hashlib.sha256(repr(given).encode()).hexdigest())


# There is no public way around a good secret and a store. In Beaker, `encrypt_key` is a secret too.
_beaker_options._USED += ("encrypt_key",)
_beaker_options._NOT_NEEDED -= {"encrypt_key"}
_beaker_options._keyring = good_secret
_beaker_options._store = lambda options: STORE
beaker.Session.namespace_class = MemoryNamespaceManager  # type: ignore[attr-defined]  # what TestSessionObject checks first
beaker.install()
