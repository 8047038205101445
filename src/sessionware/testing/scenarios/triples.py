"""Three acts at once: those in which something was found once, or in which a mistake would hurt most."""

from __future__ import annotations

from collections.abc import Iterator

from ..interleaving.engine import Scenario
from .acts import ACTS
from .contexts import CONTEXTS
from .pairs import overlapping

#: A context, and three acts in it.
TRIPLES = (
    ("visitor", "set", "set another", "modify"),
    ("visitor", "modify", "modify", "modify"),
    ("visitor", "set", "set", "delete"),
    ("visitor", "nest", "pop", "set"),
    ("visitor", "flash", "pop flash", "pop flash"),
    ("visitor", "clear", "set", "modify"),
    ("visitor", "set", "modify", "login and renew"),
    ("visitor", "login and renew", "login and renew", "set"),
    ("visitor", "login by form", "login by form", "set"),
    ("visitor", "login by form", "login by form", "logout"),
    ("visitor", "login by form", "renew", "set"),
    ("visitor", "login by form", "set, login as bob", "set"),
    ("visitor", "login by form", "remember", "set"),
    ("visitor", "login and out", "login by form", "set"),
    ("visitor", "renew", "remember", "set"),
    ("visitor", "renew", "renew", "modify"),
    ("visitor", "invalidate", "login by form", "set"),
    ("visitor", "5xx", "set", "login by form"),
    ("no cookie", "set", "set another", "modify"),
    ("no cookie", "login by form", "login by form", "set"),
    ("unconfirmed", "set", "login by form", "passive"),
    ("just logged in", "set", "logout", "login by form"),
    ("just logged in", "late set", "logout", "login by form"),
    ("just logged in", "set", "renew", "login by form"),
    ("just logged in", "logout", "renew", "remember"),
    ("logged in", "read", "set", "logout"),
    ("logged in", "set", "set another", "logout"),
    ("logged in", "slide", "renew", "set"),
    ("logged in", "remember", "set, login as bob", "set"),
    ("logged in", "who", "set, login as bob", "set"),
    ("logged in", "end by id", "set", "login by form"),
    ("logged in", "confirm", "renew", "set"),
    ("logged in", "confirm", "confirm", "logout"),
    ("logged in", "end one", "set", "logout"),
    ("two browsers", "end others", "set", "renew"),
    ("two browsers", "end one", "modify", "modify"),
)


def triples() -> Iterator[Scenario]:
    """All of them."""
    acts, contexts = {act.name: act for act in ACTS}, {context.name: context for context in CONTEXTS}
    return (overlapping(contexts[name], *(acts[act] for act in three)) for name, *three in TRIPLES)
