"""The package redis, which not everybody has. Without it `RedisStore` can be imported, and says so when it is built."""

from __future__ import annotations

try:
    from redis import Redis, RedisCluster, exceptions, sentinel
    from redis import cluster as clusters
    from redis import connection as connections
    from redis.backoff import NoBackoff
    from redis.crc import key_slot
    from redis.retry import Retry
except ImportError:
    IS_INSTALLED = False
    Redis = RedisCluster = exceptions = sentinel = clusters = connections = None  # type: ignore[assignment,misc]
    NoBackoff = key_slot = Retry = None  # type: ignore[assignment,misc]
else:
    IS_INSTALLED = True

__all__ = [
    "IS_INSTALLED",
    "NoBackoff",
    "Redis",
    "RedisCluster",
    "Retry",
    "clusters",
    "connections",
    "exceptions",
    "key_slot",
    "sentinel",
]
