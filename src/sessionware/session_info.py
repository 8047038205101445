"""What can be told about a stored session, without its request: where somebody is logged in, and what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._core.envelope import REPLACED, SIBLINGS, Stored
from ._core.lifetime import Limits, end_of, last_used_at
from ._core.values import decode
from ._repr import shown_half_built


@shown_half_built
@dataclass(frozen=True)
class SessionInfo:
    """One place where somebody is logged in. Times are in seconds since the epoch."""

    id: str
    """The handle to end it by. Not a credential."""
    authenticated_at: int
    """When somebody logged in to it, or confirmed it last; if nobody did, when it was created."""
    last_used_at: int | None
    """When it was last used, give or take a twentieth of its idle limit; None if it is remembered to a fixed time."""
    expires_at: int
    """When it ends if nobody uses it again."""
    device: str | None = None
    """A few words about its browser, such as "Firefox on Windows"; None if nobody noted any."""
    client: str | None = None
    """The address that it was used from; None if nobody noted it."""
    methods: Mapping[str, int] = field(default_factory=dict, hash=False)
    """How the user proved who it is, such as "password", each with the time."""
    note: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the application gave to `session.login(note=…)`."""
    is_current: bool = False
    """Whether it is the session of the current request."""


def info_of(stored: Stored, limits: Limits) -> SessionInfo:
    """The session, as its owner may see it."""
    record, envelope = stored.record, stored.envelope
    return SessionInfo(
        record.id.hex(),
        envelope.began_at,
        last_used_at(record.expires_at, envelope),
        end_of(record.expires_at, envelope, limits),
        device=envelope.device,
        client=envelope.client,
        methods=envelope.methods,
        note=envelope.note,
    )


def exported(stored: Stored) -> dict[str, Any]:
    """A session's header and data. Hashes of tokens are left out: they say nothing about anybody."""
    fields = stored.envelope._asdict()
    data, extra = fields.pop("data"), fields.pop("extra")
    del fields["token_hash"]
    return {
        "id": stored.record.id.hex(),
        "expires_at": stored.record.expires_at,
        **fields,
        "extra": {name: _decoded(value) for name, value in extra.items() if name not in (SIBLINGS, REPLACED)},
        "data": {key: decode(value) for key, value in data.items()},
    }


def _decoded(value: bytes) -> Any:
    """A value of the header's slot; as bytes, if a later release wrote it in a way that this one cannot read."""
    try:
        return decode(value)
    except ValueError:
        return value
