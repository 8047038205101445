"""Where a `RedisStore` is and how to connect there, from a URL or from what an application's client was made with.

A store always has connections of its own. What is done when an answer is lost is then its own decision, and not that of
the client's retry policy, which would send a write again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._hidden import Hidden
from ..errors import ConfigError
from ._redis_package import IS_INSTALLED, NoBackoff, Redis, RedisCluster, Retry, clusters, connections, sentinel
from ._redis_sentinel import Primary, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]

#: Connections that one process has at most, to one server or to each node.
MAX_CONNECTIONS = 50

_PLACES = frozenset({"host", "port", "path", "db"})

#: Of a connection's settings, those that say where the server is and who asks. Others would change what comes back.
_KEPT = _PLACES | {
    *("username", "password", "credential_provider", "client_name", "redis_connect_func"),
    *("socket_keepalive", "socket_keepalive_options", "socket_type", "parser_class"),
}

#: What a URL may say, and redis-py makes of it.
_KNOWN = {
    *("host", "port", "path", "db", "username", "password", "client_name", "socket_keepalive"),
    *("socket_timeout", "socket_connect_timeout", "max_connections", "connection_class"),
}

#: What of that is a file or a directory.
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")

#: What a URL may say that makes no difference here.
_IGNORED = frozenset({"protocol", "retry_on_timeout", "retry_on_error", "health_check_interval", "socket_read_size"})

_SCHEME = re.compile(r"(rediss?(?:\+cluster)?|unix)://", re.IGNORECASE)
_EXAMPLES = "redis://127.0.0.1:6379/0, rediss://…, unix:///path/to/socket, redis+cluster://host:port or a client"


class Options(dict[str, Any]):
    """What a connection is made with. There is a password in it, so it shows nothing in a traceback."""

    def __repr__(self) -> str:
        return "<hidden>"


@dataclass(frozen=True)
class Settings:
    """What it takes to connect."""

    shown: str
    """Where that is, as errors may show it: without user and password."""
    timeout: float
    options: Options
    connection_class: Any
    max_connections: int = MAX_CONNECTIONS
    seeds: tuple[Address, ...] = ()
    """Nodes of a cluster that may know the others; () if this is no cluster."""
    remap: Callable[[Address], Address] | None = None
    """What an address that the cluster names is from here."""

    def connection(self, **where: Any) -> Any:
        """One that has not connected yet."""
        return self.connection_class(**self.options, **where)


def settings_of(where: Hidden[Any], timeout: float) -> Settings:
    """The settings that a URL or a client stands for. Raises `ConfigError`."""
    if not IS_INSTALLED:
        raise ConfigError('RedisStore needs the package redis: pip install "sessionware[redis]"')
    _check_timeout(timeout)
    if isinstance(where.value, str):
        return _of_url(where, timeout)
    if isinstance(where.value, RedisCluster):
        return _of_cluster(where.value, timeout)
    if isinstance(where.value, Redis):
        return _of_client(where.value, timeout)
    raise ConfigError(f"RedisStore({type(where.value).__name__}): pass {_EXAMPLES}.")


def _of_url(url: Hidden[str], timeout: float) -> Settings:
    found = _SCHEME.match(url.value)
    if found is None:
        raise ConfigError(f"RedisStore(url): pass {_EXAMPLES}.")
    scheme = found[1].lower()
    del found  # it has the whole URL
    is_cluster = scheme.endswith("+cluster")
    hosts = _hosts(url) if is_cluster else []
    options = _parsed(_with_one_host(url, hosts))
    _check_names(options, is_cluster)
    timeout = options.pop("socket_timeout", timeout)
    most = options.pop("max_connections", MAX_CONNECTIONS)
    _check_timeout(timeout)
    if most < 1:
        raise ConfigError(f"RedisStore(url): max_connections={most}; write how many threads use the store at once.")
    kind = options.pop("connection_class", connections.Connection)
    place = options.get("path") or _joined(_address(options))
    shown = f"{scheme}://{place}" + ("" if is_cluster or scheme == "unix" else f"/{options.get('db', 0)}")
    seeds = (_address(options), *map(_seed, hosts[1:])) if is_cluster else ()
    settings = Settings(shown, timeout, _completed(options, timeout, is_cluster=is_cluster), kind, most, seeds)
    _try(settings)
    return settings


def _try(settings: Settings) -> None:
    """Raise `ConfigError` if no connection can be made with what a URL says."""
    for name in _FILES:
        if name in settings.options and not Path(settings.options[name]).exists():
            raise ConfigError(f"RedisStore(url): there is no file that {name} could mean.")
    try:
        settings.connection()
    except Exception as error:
        kind = type(error).__name__
    else:
        return
    raise ConfigError(f"RedisStore(url): a setting behind the ? is not one that a connection can have ({kind}).")


def _check_timeout(timeout: object) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 3600:
        raise ConfigError("RedisStore(timeout=…): write a number of seconds, such as 1.0.")


def _hosts(url: Hidden[str]) -> list[str]:
    """The nodes that a URL names, as in `redis+cluster://user:password@one:6379,other:6379`."""
    return re.split("[/?#]", url.value.partition("://")[2])[0].rpartition("@")[2].split(",")


def _with_one_host(url: Hidden[str], hosts: list[str]) -> Hidden[str]:
    """The URL as redis-py knows it."""
    known = _SCHEME.sub(lambda found: found[0].lower().replace("+cluster", ""), url.value, count=1)
    return Hidden(known.replace(",".join(hosts), "".join(hosts[:1]), 1))


def _seed(text: str) -> Address:
    return _address(_parsed(Hidden(f"redis://{text}")))


def _parsed(url: Hidden[str]) -> Options:
    try:
        return Options(connections.parse_url(url.value))
    except ValueError:
        pass  # and its text is not shown, because it may quote a part of a password that was taken for a port
    if _is_url(url.value.partition("?")[0]):
        raise ConfigError(
            "RedisStore(url): a value behind the ? is of the wrong kind. db and max_connections are whole numbers, "
            "socket_timeout is a number."
        )
    raise ConfigError(
        "RedisStore(url): this is not a URL of Redis. In user and password, write %2F, %3F, %23, %40 and %25 for /, ?, "
        "#, @ and %."
    )


def _is_url(text: str) -> bool:
    try:
        connections.parse_url(text)
    except ValueError:
        return False
    return True


def _check_names(options: Options, is_cluster: bool) -> None:
    """Raise `ConfigError` for what a URL must not say, and take out what makes no difference."""
    if options.pop("decode_responses", None) is not None:
        raise ConfigError("RedisStore(url): take decode_responses out of the URL, because records are bytes.")
    for name in _IGNORED:
        options.pop(name, None)
    is_tls = "connection_class" in options and issubclass(options["connection_class"], connections.SSLConnection)
    if not is_tls and any(name.startswith("ssl_") for name in options):
        raise ConfigError("RedisStore(url): what begins with ssl_ is for TLS. Write rediss://, with two s.")
    if not all(name in _KNOWN or name.startswith("ssl_") for name in options):  # names may be parts of a password
        raise ConfigError(
            "RedisStore(url): behind the ? there is a setting that no connection has. Some that it has are db, "
            "max_connections, socket_timeout, client_name, ssl_ca_certs."
        )
    if is_cluster and options.get("db"):
        raise ConfigError("RedisStore(redis+cluster://…): a cluster has no database numbers. Leave the number out.")


def _of_client(client: Any, timeout: float) -> Settings:
    pool = client.connection_pool
    options = Options(pool.connection_kwargs)
    _check_client(options)
    most = min(pool.max_connections, MAX_CONNECTIONS)
    completed = _completed(options, timeout, is_cluster=False)
    if isinstance(pool, sentinel.SentinelConnectionPool):
        shown = f"redis://(primary of {pool.service_name})"
        completed["connection_pool"] = _primary(pool, timeout)
    else:
        shown = _shown(pool.connection_class, options)
    return Settings(shown, timeout, completed, pool.connection_class, most)


def _primary(pool: Any, timeout: float) -> Primary:
    """What tells where the primary is, within the timeout even if no Sentinel answers."""
    if not pool.is_master:
        raise ConfigError("RedisStore(client): this client reads from replicas. Pass sentinel.master_for(name).")
    manager = pool.sentinel_manager
    watched = Watched(pool.service_name, manager.min_other_sentinels, getattr(manager, "_force_master_ip", None))
    share = timeout / len(manager.sentinels)
    return Primary(watched, [_sentinel(client.connection_pool, share).connection for client in manager.sentinels])


def _sentinel(pool: Any, timeout: float) -> Settings:
    options = Options(pool.connection_kwargs)
    options.pop("socket_connect_timeout", None)
    return Settings("", timeout, _completed(options, timeout, is_cluster=False), pool.connection_class)


def _shown(kind: type, options: Options) -> str:
    if "path" in options:
        return f"unix://{options['path']}"
    scheme = "rediss" if issubclass(kind, connections.SSLConnection) else "redis"
    return f"{scheme}://{_joined(_address(options))}/{options.get('db') or 0}"


def _of_cluster(client: Any, timeout: float) -> Settings:
    options = Options(client.get_connection_kwargs())
    _check_client(options)
    options["redis_connect_func"] = client.user_on_connect_func  # the other one is the client's own
    seeds = tuple((node.host, node.port) for node in client.get_nodes())
    kind = options.get("connection_class") or (connections.SSLConnection if options.get("ssl") else None)
    return Settings(
        f"redis+cluster://{_joined(seeds[0])}",
        timeout,
        _completed(options, timeout, is_cluster=True),
        kind or connections.Connection,
        seeds=seeds,
        remap=client.nodes_manager.address_remap,
    )


def _check_client(options: Options) -> None:
    """Raise `ConfigError` for a client that would be mistaken. How long it waits is not asked: `timeout` says it."""
    options.pop("socket_connect_timeout", None)
    if options.get("decode_responses"):
        raise ConfigError(
            "RedisStore(client): this client has decode_responses=True, and records are bytes. Pass a client without "
            "it, or a URL."
        )


def _completed(found: Options, timeout: float, *, is_cluster: bool) -> Options:
    """The options of each connection, without what only a pool or a client has."""
    names = _KEPT - _PLACES if is_cluster else _KEPT
    options = Options((name, found[name]) for name in found if name in names or name.startswith("ssl_"))
    options["socket_timeout"] = timeout
    options["socket_connect_timeout"] = found.get("socket_connect_timeout", timeout)
    options["retry"] = Retry(NoBackoff(), 0)
    # RESP3 brings nothing here, and with it a server may send what nobody has asked for.
    options["protocol"] = 2
    if hasattr(clusters, "ClusterParser"):  # of older releases, which alone knows MOVED and its like
        options.setdefault("parser_class", clusters.ClusterParser)
    return options


def _address(options: Options) -> Address:
    return options.get("host") or "localhost", options.get("port") or 6379


def _joined(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
