"""Settings as text: `SessionMiddleware.from_environ`, and Paste Deploy's ini files."""

from __future__ import annotations

from dataclasses import Field, fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
from webtest import TestApp

from sessionware import (
    ConfigError,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
    Timeouts,
    get_session,
    open_store,
)
from sessionware._core.lifetime import limits_of
from sessionware._deploy import Settings
from tests.support.fixed import SECRET
from tests.support.frames import frames_that_show


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    count = get_session(environ).modify("n", lambda n: n + 1, default=0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(count).encode()]


def paste(**settings: str) -> SessionMiddleware:
    """What `use = egg:sessionware` makes of a section."""
    (entry,) = entry_points(group="paste.filter_app_factory", name="main")
    middleware: SessionMiddleware = entry.load()(app, {"debug": "true", "here": "/etc"}, **settings)
    return middleware


def test_secret_alone_is_enough() -> None:
    """Sessions are in memory then, as without a store in code."""
    browser = TestApp(SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": SECRET, "HOME": "/root"}))

    assert [browser.get("/").text, browser.get("/").text] == ["1", "2"]


def test_the_process_says_it_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no variables are passed, those of the process count."""
    monkeypatch.setenv("SESSIONWARE_SECRET", SECRET)
    monkeypatch.setenv("SESSIONWARE_COOKIE_NAME", "shop")

    assert TestApp(SessionMiddleware.from_environ(app)).get("/").headers["Set-Cookie"].startswith("shop=")


def test_every_variable_has_its_effect(tmp_path: Path) -> None:
    """Seen in what the browser gets, and in what is stored."""
    middleware = SessionMiddleware.from_environ(
        app,
        {
            "SESSIONWARE_SECRET": SECRET,
            "SESSIONWARE_STORE": f"sqlite:///{tmp_path}/sessions.db",
            "SESSIONWARE_TRUSTED_ORIGINS": "https://one.example https://two.example",
            "SESSIONWARE_COOKIE_NAME": "shop",
            "SESSIONWARE_COOKIE_DOMAIN": "shop.example",
            "SESSIONWARE_COOKIE_PATH": "/cart",
            "SESSIONWARE_COOKIE_SECURE": "true",
            "SESSIONWARE_COOKIE_SAMESITE": "None",
            "SESSIONWARE_TIMEOUT_IDLE": "60",
            "SESSIONWARE_TIMEOUT_LIFETIME": "120",
        },
    )
    trusted = {"Origin": "https://two.example", "Sec-Fetch-Site": "cross-site"}
    line = TestApp(middleware).post("/", headers=trusted).headers["Set-Cookie"]
    middleware.manager.login_cookie("ada")

    assert line.startswith("__Secure-shop=")
    assert line.endswith("; Path=/cart; HttpOnly; SameSite=None; Secure; Domain=shop.example")
    assert (tmp_path / "sessions.db").exists()
    assert [
        (session["idle"], session["deadline"] - session["authenticated_at"])
        for session in middleware.manager.export(username="ada")
    ] == [(60, 120)]


@pytest.mark.parametrize("field", fields(Timeouts), ids=lambda field: field.name)
def test_every_timeout_can_be_set(field: Field[Any]) -> None:
    """By its name, in seconds."""
    variables = {"SESSIONWARE_SECRET": SECRET, f"SESSIONWARE_TIMEOUT_{field.name.upper()}": "77"}
    manager = SessionMiddleware.from_environ(app, variables).manager

    assert manager._site.limits == limits_of(replace(Timeouts(), **{field.name: 77}))


@pytest.mark.parametrize(("text", "secure"), [("true", True), ("false", False), ("TRUE", True), ("auto", False)])
def test_secure_is_a_word(text: str, secure: bool) -> None:
    """True, false in any case, or auto."""
    variables = {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_COOKIE_SECURE": text}
    line = TestApp(SessionMiddleware.from_environ(app, variables)).get("/").headers["Set-Cookie"]

    assert ("; Secure" in line) is secure


def test_secret_file_has_one_a_line_and_the_newest_first(tmp_path: Path) -> None:
    """As systemd and Kubernetes mount them; white space around a line does not count."""
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET[::-1]}  \n\n{SECRET}\n")
    store = f"sqlite:///{tmp_path}/sessions.db"
    browser = TestApp(SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": store}))
    browser.get("/")
    browser.app = SessionMiddleware.from_environ(
        app, {"SESSIONWARE_SECRET_FILE": str(file), "SESSIONWARE_STORE": store}
    )
    rotated = browser.get("/")

    assert (rotated.text, "Set-Cookie" in rotated.headers) == ("2", True)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (
            {},
            "Set either SESSIONWARE_SECRET or SESSIONWARE_SECRET_FILE; neither is set.*sessionware secret --file PATH",
        ),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_SECRET_FILE": "x"}, "Set either.*; both are set"),
        ({"SESSIONWARE_SECRET_FILE": "/dev/null"}, "^SESSIONWARE_SECRET_FILE: the file is empty"),
        ({"SESSIONWARE_SECRET_FILE": "/"}, "^SESSIONWARE_SECRET_FILE: the file cannot be read"),
        ({"SESSIONWARE_SECRET_FILE": ""}, "^SESSIONWARE_SECRET_FILE is empty"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": ""}, "^SESSIONWARE_STORE is empty"),
        ({"SESSIONWARE_SECRET": "short"}, "the secret has 5 characters"),
        (
            {"SESSIONWARE_SECRET_FILE": "/nowhere/secret"},
            "^SESSIONWARE_SECRET_FILE: there is no such file.*python -m sessionware secret --file PATH",
        ),
        (
            {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STROE": "memory://"},
            "SESSIONWARE_STROE: there is no such setting",
        ),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": "oracle://x"}, "does not name a store"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_COOKIE_SECURE": "yes"}, "Cookie\\(secure='yes'\\)"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_COOKIE_SAMESITE": "lax"}, "Cookie\\(samesite='lax'\\)"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TIMEOUT_IDLE": "1h"}, "SESSIONWARE_TIMEOUT_IDLE='1h': write a"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TIMEOUT_IDLE": "-5"}, "whole number of seconds"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TIMEOUT_IDLE": "0"}, "1 or more"),
        ({"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TRUSTED_ORIGINS": "partner"}, "'partner' is not an origin"),
    ],
)
def test_wrong_variable_fails_at_the_start(variables: dict[str, str], text: str) -> None:
    """And is named as the operator wrote it."""
    with pytest.raises(ConfigError, match=text):
        SessionMiddleware.from_environ(app, variables)


@pytest.mark.parametrize("content", [b"\xff" + SECRET.encode(), SECRET.encode("utf-16"), SECRET.encode("utf-16-le")])
def test_file_that_is_no_text_gives_nothing_away(tmp_path: Path, content: bytes) -> None:
    """Neither in the error nor in what caused it: reporters record both."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="UTF-8") as refused:
        SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET_FILE": str(file)})

    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_secret_is_the_same_in_a_variable_and_in_a_file(tmp_path: Path) -> None:
    """Also from an editor that puts a byte order mark in front."""
    file, store = tmp_path / "secret", f"sqlite:///{tmp_path}/sessions.db"
    file.write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
    browser = TestApp(
        SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": f" {SECRET}\n", "SESSIONWARE_STORE": store})
    )
    browser.get("/")
    browser.app = SessionMiddleware.from_environ(
        app, {"SESSIONWARE_SECRET_FILE": str(file), "SESSIONWARE_STORE": store}
    )

    assert browser.get("/").text == "2"


def test_file_of_secrets_is_read_alike_in_code(tmp_path: Path) -> None:
    """The line that README and the examples show takes it as the environment's variable does, several lines too."""
    file, store = tmp_path / "session-secret", f"sqlite:///{tmp_path}/sessions.db"
    file.write_text(f"{token_urlsafe(32)}\r\nseven words of which nobody would expect anything\n")
    variables = {"SESSIONWARE_SECRET_FILE": str(file), "SESSIONWARE_STORE": store}
    browser = TestApp(SessionMiddleware.from_environ(app, variables))
    browser.get("/")
    browser.app = SessionMiddleware(app, secret=file.read_text().splitlines(), store=open_store(store))

    answer = browser.get("/")
    assert (answer.text, "Set-Cookie" in answer.headers) == ("2", False)


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb", "redis", "redis+cluster"])
def test_store_may_be_on_a_server(scheme: str) -> None:
    """Which need not be up yet: a site that cannot start would answer nothing at all."""
    url = f"{scheme}://ann:hunter2@127.0.0.1:1" + ("/app" if "redis" not in scheme else "")
    middleware = SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": url})

    with pytest.raises(StoreUnavailable) as raised:
        middleware.manager.ping()
    assert "hunter2" not in str(raised.value)


def test_store_that_cannot_be_shows_no_password() -> None:
    """Neither in the error nor in a frame on its way; the setting is named."""
    variables = {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": "postgresql+psycopg2://ann:hunter2@localhost/app"}
    with pytest.raises(ConfigError, match=r"^SESSIONWARE_STORE: .*psycopg 3") as raised:
        SessionMiddleware.from_environ(app, Settings(variables))

    assert "hunter2" not in str(raised.value)
    assert frames_that_show("hunter2", raised.value) == []


def test_nothing_is_made_before_all_is_understood(tmp_path: Path) -> None:
    """A misspelt name leaves no database behind."""
    file = tmp_path / "typo.db"
    with pytest.raises(ConfigError, match="SESSIONWARE_TIMEOUT_IDEL"):
        SessionMiddleware.from_environ(
            app,
            {
                "SESSIONWARE_SECRET": SECRET,
                "SESSIONWARE_STORE": f"sqlite:///{file}",
                "SESSIONWARE_TIMEOUT_IDEL": "5",
            },
        )

    assert not file.exists()


@pytest.mark.parametrize(
    "variables",
    [
        {"SESSIONWARE_SECRET_FILE": "/tmp/a\0b"},
        {"SESSIONWARE_SECRET": SECRET + "\udcff"},
        {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": "sqlite://[x/a"},
        {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": "file:///tmp/a%00b"},
        {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TIMEOUT_IDLE": "9" * 5000},
        {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TIMEOUT_IDLE": "9" * 12},
        {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_Timeout_Idle": "5"},
    ],
)
def test_odd_text_is_a_clear_error(variables: dict[str, str]) -> None:
    """Not one of Python's own, at the start or at the first request."""
    with pytest.raises(ConfigError):
        SessionMiddleware.from_environ(app, variables)


def test_password_in_a_url_is_not_shown() -> None:
    """A store that this release does not know may have one."""
    with pytest.raises(ConfigError) as refused:
        SessionMiddleware.from_environ(
            app, {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_STORE": "oracle://:hunter2@db/0"}
        )

    assert "hunter2" not in str(refused.value)


def test_variables_of_our_tests_are_not_settings() -> None:
    """An application may be tested where they are set."""
    SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": SECRET, "SESSIONWARE_TEST_REQUIRE": "all"})


def test_paste_deploy_takes_the_same_names_without_the_prefix(tmp_path: Path) -> None:
    """In lower case. What an ini file says for everybody (`[DEFAULT]`) is not ours to understand."""
    middleware = paste(secret=SECRET, store=f"sqlite:///{tmp_path}/sessions.db", cookie_name="shop", timeout_idle="60")

    assert TestApp(middleware).get("/").headers["Set-Cookie"].startswith("shop=")


def test_paste_deploy_says_what_it_does_not_know() -> None:
    """By the name in the ini file."""
    with pytest.raises(ConfigError, match=r"^cookie_nmae: there is no such setting\. The settings are secret, "):
        paste(secret=SECRET, cookie_nmae="shop")


def test_manager_is_made_from_the_settings_of_a_framework(tmp_path: Path) -> None:
    """Those with the prefix count, and the framework's own are left alone."""
    settings = {
        "debug": True,
        "shop.secret": SECRET,
        "shop.store": f"sqlite:///{tmp_path}/sessions.db",
        "shop.timeout_idle": 60,
    }

    manager = SessionManager.from_settings(settings, prefix="shop.")

    assert manager.timeouts.idle == 60
    assert manager.login_cookie("ada")[0] == "sid"
    assert (tmp_path / "sessions.db").exists()


def test_setting_with_a_prefix_is_named_as_it_was_written() -> None:
    """A misspelt one, and one with a value that is wrong."""
    with pytest.raises(
        ConfigError, match=r"^shop\.cookie_nmae: there is no such setting\. The settings are shop\.secret, "
    ):
        SessionManager.from_settings({"shop.secret": SECRET, "shop.cookie_nmae": "shop"}, prefix="shop.")
    with pytest.raises(ConfigError, match=r"^shop\.timeout_idle"):
        SessionManager.from_settings({"shop.secret": SECRET, "shop.timeout_idle": "soon"}, prefix="shop.")
