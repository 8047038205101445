"""docs/old-hashes.md: its functions know what other libraries made, in each format, and its loop copies a table."""

from __future__ import annotations

import hmac
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import bcrypt
import flask
import flask_bcrypt
import pytest
from django.contrib.auth import hashers
from passlib import hash as passlib
from werkzeug.security import generate_password_hash

import dev
from sessionware import LoginFailed
from sessionware.auth import Auth, SQLiteUsers
from tests.project.pages import blocks
from tests.support.auth_kit import CHEAP, PASSWORD, AuthSite

BLOCKS = list(blocks((dev.ROOT / "docs" / "old-hashes.md").read_text(encoding="utf-8")))

LONG = "x" * 100
CUT_INSIDE = "a" + "é" * 50  # bcrypt reads 72 bytes, which end in the midst of a letter


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page defines, in an empty directory."""
    namespace: dict[str, Any] = {"__name__": "old_hashes"}
    with pytest.MonkeyPatch.context() as patching:
        patching.chdir(tmp_path_factory.mktemp("page"))
        for block in BLOCKS:
            if block.not_run is None:
                exec(block.code, namespace)
        yield namespace
    namespace["users"].close()


def site_with(stored: str, verify_legacy: Callable[[str, str], Any] | None) -> AuthSite:
    """A site with Ada, of whom this hash is stored."""
    site = AuthSite()
    site.users.add("ada", "Ada", stored, {})
    site.auth = Auth(site.users, hasher=site.hasher, verify_legacy=verify_legacy)
    return site


def lets_in(site: AuthSite, password: str) -> bool:
    """Whether Ada gets in. The hash is one of ours then, and its password the same."""
    site.events.clear()
    site.browser().do(lambda environ: _tried(site, environ, password))
    names = [event.name for event in site.events if event.name.startswith(("login.", "account."))]
    if names == ["login.failed"]:
        return False
    assert names == ["account.rehashed", "login.new_device", "login.succeeded"]
    return bool(CHEAP.verify(site.users.find_by_key("ada").password_hash, password))


def _tried(site: AuthSite, environ: Any, password: str) -> None:
    with suppress(LoginFailed):
        site.auth.login(environ, "ada", password)


# Hashes that today's releases make


def by_bcrypt(prefix: bytes) -> Callable[[str], str]:
    """What all its releases make of the first 72 bytes."""
    return lambda password: bcrypt.hashpw(password.encode()[:72], prefix + bcrypt.gensalt(4)[3:]).decode()


def by_flask_bcrypt(password: str) -> str:
    app = flask.Flask("old")
    app.config["BCRYPT_HANDLE_LONG_PASSWORDS"] = True
    return str(flask_bcrypt.Bcrypt(app).generate_password_hash(password, 4).decode())


def by_django(kind: str, *costs: Any) -> Callable[[str], str]:
    hasher = getattr(hashers, f"{kind}PasswordHasher")()
    return lambda password: str(hasher.encode(password, *costs))


MADE_NOW = {
    "Django, pbkdf2_sha256": ("verify_django", by_django("PBKDF2", "salt", 1000)),
    "Django, pbkdf2_sha256, without Django": ("verify_pbkdf2_of_django", by_django("PBKDF2", "salt", 1000)),
    "Django, pbkdf2_sha1": ("verify_django", by_django("PBKDF2SHA1", "salt", 1000)),
    "Django, scrypt": ("verify_django", by_django("Scrypt", "salt", 1024)),
    "Django, bcrypt_sha256": ("verify_django", by_django("BCryptSHA256", bcrypt.gensalt(4))),
    "Django, argon2": ("verify_django", by_django("Argon2", "saltysalt")),
    "Werkzeug, scrypt": ("verify_werkzeug", lambda password: generate_password_hash(password, "scrypt:1024:8:1")),
    "Werkzeug, pbkdf2": ("verify_werkzeug", lambda password: generate_password_hash(password, "pbkdf2:sha256:1000")),
    "bcrypt, 2a": ("verify_bcrypt", by_bcrypt(b"$2a")),
    "bcrypt, 2b": ("verify_bcrypt", by_bcrypt(b"$2b")),
    "bcrypt, 2y": ("verify_bcrypt", by_bcrypt(b"$2y")),
    "Flask-Bcrypt": ("verify_flask_bcrypt", by_flask_bcrypt),
    "passlib, pbkdf2_sha256": ("verify_passlib", passlib.pbkdf2_sha256.using(rounds=1000).hash),
    "passlib, sha512_crypt": ("verify_passlib", passlib.sha512_crypt.using(rounds=1000).hash),
    "passlib, bcrypt_sha256": ("verify_passlib", passlib.bcrypt_sha256.using(rounds=4).hash),
}
PASSWORDS = {"usual": PASSWORD, "not ASCII": "passé 密码", "long": LONG, "cut inside": CUT_INSIDE}


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
@pytest.mark.parametrize(("recipe", "hashed"), MADE_NOW.values(), ids=MADE_NOW)
def test_a_recipe_lets_the_right_people_in(
    page: dict[str, Any], recipe: str, hashed: Callable[[str], str], password: str
) -> None:
    """By itself and among all others. The account has a hash of ours from then on."""
    stored = hashed(password)
    assert not lets_in(site_with(stored, page[recipe]), "not the password")
    assert lets_in(site_with(stored, page[recipe]), password)
    if recipe in [known.__name__ for known in page["KNOWN"]]:
        assert lets_in(site_with(stored, page["verify_any"]), password)


# Hashes that earlier releases made


class Old(NamedTuple):
    """A hash, written down as it was made."""

    recipe: str
    stored: str
    password: str = "correct horse battery staple"


MADE_THEN = {
    "bcrypt 3.2.2, 2a": Old("verify_bcrypt", "$2a$04$i7xvbWIsSJzzBxSH7h1ChuBTl0dCzIujk3FnhBXvmqRrMBnu/HSf."),
    "bcrypt 3.2.2, 2y": Old("verify_bcrypt", "$2y$04$hdbo.wJitVqKA5/HLUum7uuzfRoGA5pNe2t3.x6cv/z4pDfhZokXi"),
    "bcrypt 3.2.2, long": Old("verify_bcrypt", "$2b$04$Awn0VQXmecVZbYek84osaOvEcwV52knOxKdeoXloIUKYc2bImLpdO", LONG),
    "bcrypt 4.0.1, long": Old("verify_bcrypt", "$2b$04$6QvOtKj7lemTr9LGsSHNce.Kcp.i8EFBi9fAn//ekAdrCkJQnfWQa", LONG),
    "bcrypt 4.0.1, cut inside": Old(
        "verify_bcrypt", "$2b$04$XAjL9j4ZzaWRXr8V66f7wOkAzBefRbZBVg3hHCYB4BndBxzasu85i", CUT_INSIDE
    ),
    "Django 1.11, bcrypt": Old("verify_django", "bcrypt$$2b$04$OXmnv0UvsRrTbiTmmjQVguYhnI4sVNENhrR2HySv4KfgE3duyTXVW"),
    "Django 1.11, pbkdf2_sha256": Old(
        "verify_pbkdf2_of_django", "pbkdf2_sha256$1000$salt$nNr3AKmYFOXvzxzP+2VlPwJFPcGKllppLaQIvsodtc4="
    ),
    "Werkzeug 0.9, pbkdf2:sha1": Old(
        "verify_werkzeug", "pbkdf2:sha1:1000$Q6Hv8nlS$94560d03e4e517ac83663542cdbbf0f2055b9b59"
    ),
    "Werkzeug 2.0, pbkdf2:sha256": Old(
        "verify_werkzeug",
        "pbkdf2:sha256:1000$MPmMbPEY4D3WlfOz$6f01ee61f42fbc6a85f697c9a87fdfad64998e88914a7357cb2ef8d296ba855b",
    ),
    "passlib 1.7.4, bcrypt": Old("verify_bcrypt", "$2y$04$iFdwWk1L7tlzlB.4T0WfUuRxj3Whu6iBUVsnTz94pZTM4xJ9ZeWYu"),
    "passlib 1.7.4, bcrypt_sha256": Old(
        "verify_passlib", "$bcrypt-sha256$v=2,t=2b,r=4$r1qUe3j5mhA0i/SeW5jcVe$y2q6Zt.oPa.7w7NtMA4wWYUlZVal38W", LONG
    ),
    "passlib 1.7.4, pbkdf2_sha256": Old(
        "verify_passlib", "$pbkdf2-sha256$1000$NobQGoOQEoJw7j1n7D2n9A$qmR/aswMYlLTdaEV4ml3ZTxU5UPM13UiEoQ6FfjZmuQ"
    ),
}


@pytest.mark.parametrize("old", MADE_THEN.values(), ids=MADE_THEN)
def test_a_recipe_knows_hashes_of_earlier_releases(page: dict[str, Any], old: Old) -> None:
    """Which ignored what bcrypt does not read."""
    assert not lets_in(site_with(old.stored, page[old.recipe]), "not the password")
    assert lets_in(site_with(old.stored, page[old.recipe]), old.password)


@pytest.mark.parametrize(
    "stored",
    [
        "argon2$argon2id$v=19$m=64,t=1,p=4$uXcu5dz7H4PwHoMQgjDmnA$u9JTqapySoclSj/Ok1FN8mkHmpDXrprHwEo8kRnDeRk",
        by_django("Argon2", "saltysalt")("correct horse battery staple"),
    ],
    ids=["passlib's, with the mark", "Django's"],
)
def test_argon2_needs_no_function_without_djangos_mark(page: dict[str, Any], stored: str) -> None:
    """Neither do those of passlib, or of anybody who makes argon2's own format."""
    copied = page["hash_to_store"](stored, "django")

    assert copied.startswith("$argon2id$")
    assert not lets_in(site_with(copied, None), "not the password")
    assert lets_in(site_with(copied, None), "correct horse battery staple")


# Hashes that are too quick

QUICK = {
    "Django 1.11, md5": ("django", "md5$salt$2338b2cbd799d580b6a70349f87de5ea"),
    "Django 1.11, sha1": ("django", "sha1$salt$46d4784c977433fbad9a03e0f62179e2bf36cc1c"),
    "Django 1.11, md5 without salt": ("django", "md5$$9cc2ae8a1ba7a93da39b46fc1019c481"),
    "32 digits": ("werkzeug", "9cc2ae8a1ba7a93da39b46fc1019c481"),
    "32 digits, capitals": ("django", "9CC2AE8A1BA7A93DA39B46FC1019C481"),
    "Werkzeug 2.0, sha256": (
        "werkzeug",
        "sha256$kA15hbEE59liUWxC$7cf9803347c940ed188500ca63292d94a00ce1ccd3466bbfd88a14c1866e5597",
    ),
    **{
        f"Werkzeug's formula, {algorithm}": (
            "werkzeug",
            f"{algorithm}$salt${hmac.new(b'salt', b'correct horse battery staple', algorithm).hexdigest()}",
        )
        for algorithm in ("md5", "sha1")
    },
}


@pytest.mark.parametrize(("library", "stored"), QUICK.values(), ids=QUICK)
def test_quick_hashes_are_strengthened_at_once(page: dict[str, Any], library: str, stored: str) -> None:
    """The digest is gone from the table before anybody logs in, and people get in all the same."""
    strengthened = page["hash_to_store"](stored, library)
    site = site_with(strengthened, page["verify_any"])

    assert stored.rpartition("$")[2] not in strengthened
    assert not lets_in(site, "not the password")
    assert not lets_in(site, stored.rpartition("$")[2])
    assert lets_in(site, "correct horse battery staple")


# What no recipe knows

RECIPES = [
    "verify_django",
    "verify_pbkdf2_of_django",
    "verify_werkzeug",
    "verify_bcrypt",
    "verify_flask_bcrypt",
    "verify_passlib",
    "verify_strengthened",
    "verify_any",
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("stored", ["!", "!x5Yq", "", "old$text", "sha256$salt$digest", "$2x$", "$1$", "plain text"])
def test_a_recipe_says_so_if_it_does_not_know(page: dict[str, Any], recipe: str, stored: str) -> None:
    """None, and nothing is raised, so that the operator hears of an account that nobody can use."""
    assert page[recipe](stored, PASSWORD) is None


def test_the_page_has_no_other_recipe(page: dict[str, Any]) -> None:
    """All of them are tried here."""
    tried = {*RECIPES, *(recipe for recipe, _ in MADE_NOW.values()), "verify_password"}

    assert {name for name in page if name.startswith("verify_")} == tried


# The table

#: A site with Django's own table of accounts.
DJANGO = """
import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "old.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{kind}PasswordHasher" for kind in ("Scrypt", "Argon2")],
)
django.setup()
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command

call_command("migrate", verbosity=0)
add = User.objects.create_user
add("ada", "ada@shop.example", "correct horse battery staple")
add("Grace", password="correct horse battery staple", is_active=False)
add("bob")                                   # without a password
add("ADA", password="another password")
add("_ _", password="another password")
User(username="eve", password=make_password("correct horse battery staple", hasher="argon2")).save()
"""


def test_old_ids_lead_to_the_new_ones(page: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tables that refer to accounts. One that was registered here is not among them."""
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in BLOCKS if "new_ids" in block.code]
    users = SQLiteUsers("app.db")
    rows = [(7, "ada", None, "ada@shop.example", True), ("u-8", "bob", None, "bob@shop.example", True)]
    assert page["copy_accounts"](rows, users) == []
    users.add("eve", "Eve", None, {})

    namespace = dict(page)
    exec(block.code, namespace)

    assert namespace["new_ids"] == {
        old: user.id for old, name in ((7, "ada"), ("u-8", "bob")) if (user := users.find_by_key(name))
    }


def test_quick_hash_of_an_unknown_library_is_an_error(page: dict[str, Any]) -> None:
    """While it is copied, and not when somebody cannot log in."""
    with pytest.raises(ValueError, match="no 'Werkzeug'"):
        page["hash_to_store"]("sha256$salt$" + 64 * "0", "Werkzeug")


@pytest.fixture
def old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", DJANGO], check=True)


def test_the_loop_copies_djangos_table(
    old_table: None, page: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Who can be copied is; the others are named. A second run adds nobody, and takes no new hash back."""
    site = AuthSite()
    site.auth = Auth(site.users, hasher=site.hasher, verify_legacy=page["verify_any"])
    (loop,) = [block for block in BLOCKS if block.not_run is not None]

    def copied() -> list[str]:
        exec(loop.code, {**page, "users": site.users})
        return capsys.readouterr().out.splitlines()

    assert copied() == ["ADA is there already, as ada", "_ _ cannot be a name here"]
    accounts = {name: site.users.find_by_key(name) for name in ("ada", "grace", "bob", "eve")}
    assert accounts["grace"].username == "Grace"
    assert accounts["ada"].data == {"email": "ada@shop.example", "old_id": 1}
    assert accounts["bob"].password_hash is None
    assert accounts["eve"].password_hash.startswith("$argon2id$")
    assert [name for name, user in accounts.items() if not user.is_active] == ["grace"]
    for name in ("ada", "eve"):
        assert site.logged_in(name, "correct horse battery staple").who() == name
    assert len(copied()) == 6
    assert site.logged_in("ada", "correct horse battery staple").who() == "ada"
