"""What is looked at when a `RedisStore` first reaches its server: whether it can work there, and what may be lost."""

from __future__ import annotations

import logging
import re
import time
from typing import NamedTuple

from ..errors import ConfigError
from ._redis_cluster import Way
from ._redis_errors import as_cluster, bare, code_of, replica, wrong_setting
from ._redis_node import Node
from ._redis_package import exceptions
from ._redis_scripts import REHEARSAL
from ._redis_settings import Settings

_logger = logging.getLogger("sessionware")
_given: set[str] = set()

#: The first release that knows SET with EXAT. All of Valkey does.
_OLDEST = (6, 2)

_MINUTE = 60.0


class _Server(NamedTuple):
    """What a server says about itself."""

    version: str
    is_sentinel: bool
    is_replica: bool
    is_in_cluster: bool
    may_evict: str
    """The policy by which it removes what was stored when its memory is full, or ""."""
    is_kept: bool
    """Whether what is stored outlives the process."""
    ahead: float
    """By how many seconds its clock is ahead of this machine's."""


def check(way: Way, settings: Settings, probe: bytes) -> None:
    """Raise `ConfigError` if the store cannot work there, and warn of what may be lost. Raises redis-py's errors."""
    try:
        servers = _look_at_all(way.primaries())
        for server in servers:
            _check_server(server, settings)
        _rehearse(way, probe)
    except (exceptions.RedisError, OSError) as error:
        wrong = wrong_setting(error, settings)
        if wrong is None:
            raise
        raise wrong from bare(error)
    _warn_of_losses(servers, settings)


def _look_at_all(nodes: list[Node]) -> list[_Server]:
    """What those that answer say. Of a cluster, a part may be down, and the rest has its sessions all the same."""
    servers, error = [], None
    for node in nodes:
        try:
            servers.append(_look_at(node))
        except exceptions.AuthenticationError:
            raise
        except (exceptions.ConnectionError, exceptions.TimeoutError) as failed:
            error = failed
    if error is not None and not servers:
        raise error
    return servers


def release(way: Way) -> str:
    """What a server says that it is."""
    info = _info(way.primaries()[0])
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info.get('redis_version', '')}".rstrip()


def _info(node: Node) -> dict[str, str]:
    lines = node.ask(("INFO",)).decode(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def _look_at(node: Node) -> _Server:
    info = _info(node)
    policy = info.get("maxmemory_policy", "noeviction")
    return _Server(
        version=info.get("redis_version", "0"),
        is_sentinel=info.get("redis_mode") == "sentinel",
        is_replica=info.get("role") == "slave",
        is_in_cluster=info.get("cluster_enabled") == "1",
        may_evict=policy if info.get("maxmemory", "0") != "0" and policy != "noeviction" else "",
        is_kept=info.get("aof_enabled") == "1" or _saves(node),
        ahead=int(info["server_time_usec"]) / 1e6 - time.time() if "server_time_usec" in info else 0.0,
    )


def _saves(node: Node) -> bool:
    """Whether it saves its data now and then. Managed services do not let anybody ask, and are believed."""
    try:
        found = node.ask(("CONFIG", "GET", "save"))
    except exceptions.ResponseError:
        return True
    return len(found) < 2 or bool(found[1])


def _check_server(server: _Server, settings: Settings) -> None:
    found = tuple(map(int, re.findall(r"\d+", server.version)[:2]))
    if found < _OLDEST:
        raise ConfigError(f"Redis at {settings.shown} is release {server.version}: sessions need 6.2, or any Valkey.")
    if server.is_sentinel:
        raise ConfigError(
            f"Redis at {settings.shown} is a Sentinel. Give the address of the primary, or sentinel.master_for(name)."
        )
    if server.is_replica:
        raise replica(settings)
    if server.is_in_cluster and not settings.seeds:
        raise ConfigError(
            f"Redis at {settings.shown} is a node of a cluster. Write {as_cluster(settings)}, or pass a RedisCluster."
        )


def _rehearse(way: Way, probe: bytes) -> None:
    """Find out whether the user may do all that the store does."""
    try:
        way.send(probe, ("EVAL", REHEARSAL.text, 1, probe))
        way.send(probe, ("EVALSHA", REHEARSAL.digest, 1, probe))
    except (exceptions.NoPermissionError, exceptions.ReadOnlyError):
        raise
    except (exceptions.ConnectionError, exceptions.TimeoutError):
        if way.spans_slots:
            raise
    except exceptions.ResponseError as error:
        # What else went wrong, such as a full memory, is told when it matters: sessions can still be read.
        if code_of(error) == "NOPERM" or "can't run this command" in str(error):  # the latter by releases before 7
            raise exceptions.NoPermissionError(str(error)) from error
        if code_of(error) == "READONLY":
            raise


def _warn_of_losses(servers: list[_Server], settings: Settings) -> None:
    policy = next((server.may_evict for server in servers if server.may_evict), None)
    if policy:
        _warn(
            f"Redis at {settings.shown} removes sessions when its memory is full (maxmemory-policy {policy}): people "
            "are logged out, and ending all of their sessions may miss some. Set: maxmemory-policy noeviction"
        )
    if not all(server.is_kept for server in servers):
        _warn(
            f"Redis at {settings.shown} keeps nothing when it restarts: all sessions are gone then. Set: appendonly yes"
        )
    ahead = max((server.ahead for server in servers), key=abs, default=0.0)
    if abs(ahead) > _MINUTE:
        _warn(
            f"The clock of Redis at {settings.shown} is {abs(ahead) / _MINUTE:.0f} min "
            f"{'ahead of' if ahead > 0 else 'behind'} this machine's. Let both keep the time (NTP)."
        )


def _warn(text: str) -> None:
    if text not in _given:
        _given.add(text)
        _logger.warning(text)
