"""The floors: the least code that can keep a session on the server under a cookie that nobody can forge.

An AES-GCM sealed id, msgspec's MessagePack, the store without anything around it. No expiry, no rotation, no version
check, no encryption of what is stored: reference programs for the ratios, not products.
"""

from __future__ import annotations

import os
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Any, Protocol
from zlib import crc32

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .base import BARE, SECRET, App, Pages, Subject, wsgi_app

SESSION = "floor.session"

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Raw(Protocol):
    """Bytes by id. What `load` found may tell `save` where to write."""

    def load(self, id: bytes) -> tuple[bytes, Any] | None: ...

    def save(self, id: bytes, payload: bytes, found: Any) -> None: ...

    def delete(self, id: bytes) -> None: ...


class Memory:
    def __init__(self, _directory: Path) -> None:
        self._payloads: dict[bytes, bytes] = {}

    def load(self, id: bytes) -> tuple[bytes, None] | None:
        payload = self._payloads.get(id)
        return None if payload is None else (payload, None)

    def save(self, id: bytes, payload: bytes, _found: None) -> None:
        self._payloads[id] = payload

    def delete(self, id: bytes) -> None:
        self._payloads.pop(id, None)


class Renamed:
    """One file per session, in one flat directory; a change is a new file renamed over the old one."""

    def __init__(self, directory: Path) -> None:
        self._directory = f"{directory}/"

    def load(self, id: bytes) -> tuple[bytes, None] | None:
        try:
            file = os.open(self._directory + id.hex(), os.O_RDONLY)
        except FileNotFoundError:
            return None
        payload = os.read(file, 16384)
        os.close(file)
        return payload, None

    def save(self, id: bytes, payload: bytes, _found: None) -> None:
        path = self._directory + id.hex()
        file = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, payload)
        os.close(file)
        os.rename(path + ".new", path)

    def delete(self, id: bytes) -> None:
        os.unlink(self._directory + id.hex())


class TwoSlots:
    """One file per session with two checksummed slots, of which the older one is written in place."""

    _HEAD = Struct(">IIII")  # checksum, version, length, capacity

    def __init__(self, directory: Path) -> None:
        self._directory = f"{directory}/"

    def load(self, id: bytes) -> tuple[bytes, tuple[int, int, int]] | None:
        try:
            file = os.open(self._directory + id.hex(), os.O_RDONLY)
        except FileNotFoundError:
            return None
        content = os.read(file, 16384)
        os.close(file)
        capacity = self._HEAD.unpack_from(content)[3]
        slots = [self._slot(content, offset) for offset in (0, self._HEAD.size + capacity)]
        version, offset, payload = max(slot for slot in slots if slot is not None)
        return payload, (version, offset, capacity)

    def _slot(self, content: bytes, offset: int) -> tuple[int, int, bytes] | None:
        """Version, offset and payload, if the slot is whole."""
        if offset + self._HEAD.size > len(content):
            return None
        checksum, version, length, _capacity = self._HEAD.unpack_from(content, offset)
        start = offset + self._HEAD.size
        payload = content[start : start + length]
        return (version, offset, payload) if checksum == crc32(payload) else None

    def save(self, id: bytes, payload: bytes, found: tuple[int, int, int] | None) -> None:
        version, offset, capacity = found or (0, -1, max(256, 1 << len(payload).bit_length()))
        if len(payload) > capacity:
            raise ValueError("a floor's session does not outgrow its slot")
        other = self._HEAD.size + capacity if offset == 0 else 0
        flags = os.O_WRONLY if found else os.O_WRONLY | os.O_CREAT | os.O_EXCL
        file = os.open(self._directory + id.hex(), flags, 0o600)
        os.pwrite(file, self._HEAD.pack(crc32(payload), version + 1, len(payload), capacity) + payload, other)
        os.close(file)

    def delete(self, id: bytes) -> None:
        os.unlink(self._directory + id.hex())


class SQLite:
    def __init__(self, directory: Path) -> None:
        connection = sqlite3.connect(directory / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS s (id BLOB PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID")
        self._execute = connection.execute

    def load(self, id: bytes) -> tuple[bytes, None] | None:
        row = self._execute("SELECT payload FROM s WHERE id = ?", (id,)).fetchone()
        return None if row is None else (row[0], None)

    def save(self, id: bytes, payload: bytes, _found: None) -> None:
        self._execute(
            "INSERT INTO s VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET payload = excluded.payload", (id, payload)
        )

    def delete(self, id: bytes) -> None:
        self._execute("DELETE FROM s WHERE id = ?", (id,))


class Floor:
    """The session layer over a raw store."""

    def __init__(self, store: Raw) -> None:
        self._store = store
        self._aead = AESGCM(sha256(SECRET.encode()).digest())
        self._pages = wsgi_app(Pages(self.get, save=self.save, log_in=self.log_in))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> Any:
            session = environ.get(SESSION)
            if session is not None and session.cookie:
                headers.append(("Set-Cookie", f"sid={session.cookie}; Path=/; HttpOnly; SameSite=Lax"))
            return start_response(status, headers)

        return self._pages(environ, start)

    def get(self, environ: dict[str, Any]) -> FloorSession:
        id = self._id(environ)
        loaded = None if id is None else self._store.load(id)
        session = FloorSession() if loaded is None else FloorSession(_decode(loaded[0]))
        if loaded is not None:
            session.id, session.found = id, loaded[1]
        environ[SESSION] = session
        return session

    def save(self, _environ: dict[str, Any], session: FloorSession) -> None:
        if session.id is None:
            session.id, session.cookie = self._new()
        self._store.save(session.id, _encode(session), session.found)

    def log_in(self, session: FloorSession, name: str) -> None:
        """The same data under a new id; the old one is gone."""
        if session.id is not None:
            self._store.delete(session.id)
        session.id = session.found = None
        session["user"] = name

    def _new(self) -> tuple[bytes, str]:
        """An id, and the cookie that says it."""
        id, nonce = os.urandom(32), os.urandom(12)
        return id, urlsafe_b64encode(nonce + self._aead.encrypt(nonce, id, None)).decode()

    def _id(self, environ: dict[str, Any]) -> bytes | None:
        for part in environ.get("HTTP_COOKIE", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == "sid":
                sealed = urlsafe_b64decode(value)
                try:
                    return self._aead.decrypt(sealed[:12], sealed[12:], None)
                except InvalidTag:
                    return None
        return None


class FloorSession(dict[str, Any]):
    id: bytes | None = None
    found: Any = None
    cookie = ""


def _builder(make: Callable[[Path], Raw]) -> Callable[[Path], App]:
    return lambda directory: Floor(make(directory))


SUBJECTS = [
    BARE,
    Subject("floor-memory", "memory", "floor", _builder(Memory)),
    Subject("floor-file-rename", "file", "floor", _builder(Renamed)),
    Subject("floor-file-twoslot", "file", "floor", _builder(TwoSlots)),
    Subject("floor-sqlite", "sqlite", "floor", _builder(SQLite)),
]
