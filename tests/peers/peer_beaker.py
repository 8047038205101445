"""Beaker's own session tests, TurboGears' suite and bottle-cork's login, on the adapter for Beaker."""

from __future__ import annotations

import os
from pathlib import Path

import dev
from tests.peers.harness import Outcomes, Peer, run_pytest

_PLUGIN = "beaker_plugin"

_BEAKERS = ("session", "cookie_only", "cookie_expires", "cookie_domain_only", "domain_setting", "increment")

#: The released source of TurboGears lacks `tests/base.py`, which these import.
_INCOMPLETE = (
    *("caching", "configuration", "controllers", "expose_allowed_methods", "hooks", "jsonify", "render"),
    *("rest_controller_dispatch", "tg_controller_dispatch", "validation"),
)


def run_beaker(source: Path) -> Outcomes:
    """The modules about sessions. The others are about Beaker's cache."""
    return run_pytest(source, *(f"tests/test_{name}.py" for name in _BEAKERS), plugin=_PLUGIN)


def run_turbogears(source: Path) -> Outcomes:
    """Whatever the released source can run."""
    ignored = [f"--ignore=tests/test_{name}.py" for name in _INCOMPLETE]
    return run_pytest(source, "-o", "addopts=", *ignored, "tests", plugin=_PLUGIN)


def run_cork(source: Path) -> Outcomes:
    """Our flow, with Cork's package from the released source, because it asks for a pycrypto that cannot be built."""
    flow = str(dev.ROOT / "tests" / "peers" / "cork_flow.py")
    return run_pytest(source, "-c", os.devnull, "--noconftest", flow, plugin=_PLUGIN)


_REQUEST = "looks at the dict through which Beaker's Session and its middleware talk, before anything is sent"
_NAMESPACE = "looks into Beaker's files"
_DOMAIN = "gives one session a cookie with a domain of its own; here there is one cookie for the whole site"
_CONTENT = "looks for the data in the cookie; here it is in the store"
_SECONDS = "wants the last use to the millisecond, and Beaker's files to remove; here it is to about a minute"
_EMPTY = "wants a cookie for a session without data"
_SESSION, _ONLY, _EXPIRES = "tests/test_session.py", "tests/test_cookie_only.py", "tests/test_cookie_expires.py"

BEAKER_EXCEPTIONS = {
    f"{_SESSION}::test_regenerate_id": _REQUEST,
    f"{_SESSION}::test_cookies_*abled": _REQUEST,
    f"{_SESSION}::test_unrelated_cookie": _REQUEST,
    f"{_SESSION}::test_invalidate_*cookie*": _REQUEST,
    f"{_SESSION}::test_load_deleted_from_storage_session__not_loaded": _REQUEST,
    f"{_SESSION}::test_timeout_requires_accessed_time": "wants Beaker's own exception; here it is a ConfigError",
    f"{_SESSION}::test_file_based_replace_optimization": _NAMESPACE,
    f"{_SESSION}::test_use_json_serializer_without_encryption_key": _NAMESPACE,
    f"{_SESSION}::test_invalidate_corrupt": _NAMESPACE,
    f"{_SESSION}::TestSaveAccessedTime::*": _SECONDS,
    f"{_ONLY}::test_*_serializer": _CONTENT,
    f"{_ONLY}::test_expires": "wants Expires in the cookie; ours has Max-Age, which means the same",
    f"{_ONLY}::test_invalidate_with_save_does_not_delete_session": _EMPTY,
    f"{_ONLY}::test_cookie_path_properly_set_after_load": "wants the cookie in every response; here when it changes",
    f"{_ONLY}::test_cookie_path_properly_set_after_delete": "wants a cookie removed that the browser does not have",
    f"{_EXPIRES}::test_cookie_expires": "looks at how the options were parsed",
    f"{_EXPIRES}::test_cookie_exprires_2": _REQUEST,
    f"{_EXPIRES}::test_set_cookie_expires": _REQUEST,
    f"{_EXPIRES}::test_cookie_expires_different_locale": "needs an Italian locale; fails with Beaker too without it",
    "tests/test_cookie_domain_only.py::test_increment": _DOMAIN,
    "tests/test_cookie_domain_only.py::test_cookie_attributes_are_preserved": _DOMAIN,
    "tests/test_domain_setting.py::test_different_domain": _DOMAIN,
    "tests/test_domain_setting.py::test_same_domain": "wants a dot before the domain, which RFC 6265 ignores",
    "tests/test_increment.py::test_revert": _EMPTY,
}

_FILES = "reads files that the released source lacks, and fails with Beaker too"

TURBOGEARS_EXCEPTIONS = {
    "tests/test_i18n.py::TestI18N*": _FILES,
    "tests/test_statics.py::TestStatics::*": _FILES,
    "tests/test_util.py::TestDottedNameFinder::test_load_from_zipped_egg": _FILES,
}

PEERS = [
    # The last release with its tests in it; 1.14 has the same sessions.
    Peer("beaker", "beaker==1.13.0", run_beaker, BEAKER_EXCEPTIONS),
    Peer("turbogears", "turbogears2==2.5.1", run_turbogears, TURBOGEARS_EXCEPTIONS),
    Peer("cork", "bottle-cork==0.12.0", run_cork),
]
