"""What goes wrong with Redis, said so that an operator can act on it.

The server's own text is quoted only where it is about connections. Others may quote what was sent.
"""

from __future__ import annotations

import re

from .._hidden import without_frames
from ..errors import ConfigError, StoreUnavailable
from ._redis_package import exceptions, sentinel
from ._redis_scripts import ACL, CLUSTER_ACL
from ._redis_settings import Settings

_ALLOW = "ACL SETUSER <user>"


def code_of(error: Exception) -> str:
    """The word with which the server says what is wrong, or the name of redis-py's class for it."""
    name = type(error).__name__
    if name != "ResponseError":
        return _CODES.get(name, name)
    inside = _IN_SCRIPT.search(str(error))
    code = inside[1] if inside else str(error).partition(" ")[0]
    return _CODES.get(code, code) if code.isupper() else "ERR"


#: How releases before 7 quote an error inside a script.
_IN_SCRIPT = re.compile(r"@user_script: ?\d+: -([A-Z]+) ")

#: What redis-py has classes for. It takes the code out of the text.
_CODES = {
    "NoPermissionError": "NOPERM",
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "MovedError": "MOVED",
    "AskError": "MOVED",
    "ClusterCrossSlotError": "MOVED",
    "CROSSSLOT": "MOVED",
    "SELECT": "MOVED",  # "is not allowed in cluster mode"
    "AuthenticationError": "WRONGPASS",
    "AuthenticationWrongNumberOfArgsError": "WRONGPASS",
    "AuthorizationError": "NOPERM",
}

_REPLICA = "is a replica, which cannot be written to: give the address of the primary, or a client of Sentinel."

_ADVICE = {
    "WRONGPASS": "refuses this user or password: fix them in the URL, as redis://user:password@host:6379/0.",
    "READONLY": _REPLICA,
    "OOM": "has no memory left (maxmemory), so nobody can log in, and no session can grow. Sessions can still "
    "be read and ended. Give it more memory.",
    "MISCONF": "refuses writes because it could not save its data: see its log, and whether its disk is full.",
    "LOADING": "has been started and is still loading its data.",
    "BUSY": "is busy running another client's script.",
    "CLUSTERDOWN": "is part of a cluster that is down: a failover is going on, or slots are not served.",
    "NOREPLICAS": "refuses writes because too few replicas follow it (min-replicas-to-write).",
    "MASTERDOWN": "is a replica that has lost its primary.",
    "TRYAGAIN": "is moving this session to another node.",
    "WRONGTYPE": "has something else under a key of ours, which begin with 'sw': give the sessions a database of "
    "their own.",
}


def bare(error: Exception) -> Exception:
    """The error as it may be chained: without its frames, which show passwords, and without what was sent."""
    for each in without_frames(error):
        if _QUOTES in str(each):
            each.args = (str(each).partition(_QUOTES)[0],)
    return error


#: Behind this, a server quotes the arguments of a command that it does not know.
_QUOTES = ", with args beginning with"


def unavailable(error: Exception, settings: Settings) -> StoreUnavailable:
    """The same as `StoreUnavailable`, to be raised from it."""
    return StoreUnavailable(f"Redis at {_shown(error, settings)} {_said(error, settings)}")


def _shown(error: Exception, settings: Settings) -> str:
    """Where the error comes from, and in a cluster, from which node."""
    node = vars(error).get("node")
    return f"{settings.shown} (node {node})" if node else settings.shown


def _said(error: Exception, settings: Settings) -> str:
    code = code_of(error)
    if code == "NOPERM":
        return f"does not let this user run the commands that sessions need. Run: {_ALLOW} {acl(settings)}"
    if code == "MOVED":
        return f"is a node of a cluster. Write: {as_cluster(settings)}"
    if code in _ADVICE:
        return _ADVICE[code]
    if isinstance(error, exceptions.TimeoutError):
        return f"did not answer within {settings.timeout:g} s."
    if isinstance(error, sentinel.MasterNotFoundError):
        return "cannot be found: no Sentinel names one. See whether they run, and whether this is its name there."
    if isinstance(error, (exceptions.ConnectionError, OSError)):
        return f"cannot be reached: {error}"
    if code == "InvalidResponse":
        return "does not speak the protocol of Redis: see whether the port is right."
    return f"failed with {code}."


def wrong_setting(error: Exception, settings: Settings) -> ConfigError | None:
    """The same as `ConfigError` if no waiting helps against it: wrong passwords, missing rights, wrong servers."""
    code = code_of(error)
    if code in ("WRONGPASS", "NOPERM", "READONLY", "MOVED"):
        return ConfigError(f"Redis at {_shown(error, settings)} {_said(error, settings)}")
    if code == "DENIED":
        return ConfigError(
            f"Redis at {settings.shown} is in protected mode, in which it answers its own machine alone: give it a "
            "password (requirepass), and write it into the URL."
        )
    if "DB index is out of range" in str(error):
        return ConfigError(f"Redis at {settings.shown} has no database of this number: see its setting `databases`.")
    if "cluster support disabled" in str(error):
        return ConfigError(
            f"Redis at {settings.shown} is not a cluster. Write: {settings.shown.replace('+cluster', '')}"
        )
    return None


def acl(settings: Settings) -> str:
    """What the user has to be allowed, by what is asked for when this connects, too."""
    return (
        (CLUSTER_ACL if settings.seeds else ACL)
        + (" +select" if settings.options.get("db") else "")
        + (" +client|setname" if settings.options.get("client_name") else "")
    )


def as_cluster(settings: Settings) -> str:
    """The URL, if it were one of a cluster."""
    scheme, _, place = settings.shown.partition("://")
    return f"{scheme}+cluster://{place.partition('/')[0]}"


def replica(settings: Settings) -> ConfigError:
    return ConfigError(f"Redis at {settings.shown} {_REPLICA}")
