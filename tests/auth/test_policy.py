"""New passwords: what is refused and why, what is not, and what happens if a check for breaches gives no answer."""

from __future__ import annotations

import hashlib
import os
import string
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from sessionware import ConfigError, PasswordRejected, UsernameTaken
from sessionware._types import Environ
from sessionware.auth import PasswordPolicy, Rate, Throttle, validate_password
from sessionware.auth.policy import breached
from sessionware.auth.policy.common_passwords import FILE, MOST_USED, Words, common, most_used
from sessionware.errors import Throttled
from tests.fixtures.make_common_passwords import common_passwords
from tests.long import passwords
from tests.project.pages import blocks
from tests.support.auth_kit import AuthSite

HERE = Path(__file__).parent

#: A good password, and the site that weak ones are made for.
GOOD = "ladle orbit thaw quiver"
SITE = PasswordPolicy(words=("Larkfield Library",))


class Weak(NamedTuple):
    kind: str
    password: str
    username: str


def weak_passwords() -> Iterator[Weak]:
    for line in (HERE / "weak_passwords.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield Weak(*[*line.split("\t"), ""][:3])


def refusal(password: str, policy: PasswordPolicy = SITE, username: str = "") -> PasswordRejected:
    with pytest.raises(PasswordRejected) as rejected:
        policy.validate(password, username=username)
    return rejected.value


# What is refused


def test_the_list_of_weak_passwords_is_long_enough() -> None:
    """At least 200 of at least 15 characters: none is refused because it is too short."""
    weak = list(weak_passwords())

    assert len({each.password for each in weak}) == len(weak) >= 200
    assert min(len(each.password) for each in weak) >= 15


@pytest.mark.parametrize("weak", list(weak_passwords()), ids=lambda weak: ascii(weak.password))
def test_weak_password_is_refused(weak: Weak) -> None:
    """Each of those that were written down before the code."""
    reason = refusal(weak.password, username=weak.username).reason

    assert reason == ("context" if weak.kind == "context" else "common")


@pytest.mark.parametrize(
    ("password", "begin"),
    [
        ("passwordpassword", "This password is one short part repeated."),
        ("qwertyuiopasdfgh", "This password is made of characters in order, or of neighbouring keys."),
        ("administrator!!1", "This password is made of common words"),
        ("larkfield1234567", "This password is made of your username or of this site's name."),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(password: str, begin: str) -> None:
    """NIST SP 800-63B-4 §3.1.1.2: the reason for the rejection, in words that a person can act on."""
    message = refusal(password).message

    assert message.startswith(begin)
    assert message.endswith("Please choose several words that have nothing to do with each other.")
    assert password not in message


@pytest.mark.parametrize(
    "password",
    [
        "PasswordPassword",
        "\uff30\uff41\uff53\uff53\uff57\uff4f\uff52\uff44Password",
        "pa\u00dfword12345678",
        "PASSWORD12345678",
    ],
    ids=ascii,
)
def test_case_and_width_do_not_make_a_common_password_better(password: str) -> None:
    """They are folded before the comparison. The password itself is kept as it is (ASVS 5.0 6.2.8)."""
    assert refusal(password).reason == "common"


@pytest.mark.parametrize("length", [15, 64, 200, 1024])
def test_repetition_is_found_at_any_length(length: int) -> None:
    """Also if the last one is cut off."""
    assert "repeated" in refusal(("xk7Qm!" * 200)[:length]).message


def test_what_is_repeated_has_to_be_long_enough_by_itself() -> None:
    """A part counts once."""
    assert "repeated" in refusal("ladle or thaw ladle or thaw").message
    SITE.validate(f"{GOOD} {GOOD}")


@pytest.mark.parametrize(
    "username",
    ["alice.smith@larkfield.example", "Alice_Smith", "smith-alice", "alice.smith77", "ALICE.SMITH"],
)
def test_a_username_is_taken_apart(username: str) -> None:
    """Into the parts of a name or an address, in whatever case, with or without digits."""
    assert refusal("alicesmith1234567", username=username).reason == "context"


@pytest.mark.parametrize(
    "username",
    [
        "ada.lovelace.of.london",
        "x1.y2.z3.w4.v5.u6",
        "\"><script>x</script>'&lt;",
        "ad.lo.ve.la.ce@a.io",
        "-.ab-.cd-.ef-.g",
    ],
)
@pytest.mark.parametrize("change", ["{}", "{}1234", "{}!", "1{}"])
def test_a_username_as_it_stands_is_no_password(username: str, change: str) -> None:
    """It is tried first, however short its parts are. Nor is it what it is without an address's domain or its signs."""
    letters = "".join(filter(str.isalnum, username))
    name = username.split("@")[0]
    passwords = {change.format(text) for text in (username, username.upper(), letters, name)}

    for password in passwords:
        if len(password) >= 15:
            assert refusal(password, username=username).reason == "context"
    SITE.validate(f"{GOOD} {username}", username=username)


def test_a_username_that_grows_by_its_case_is_no_password() -> None:
    """It is found although it is longer than what is looked at otherwise."""
    username = "".join(f"{letter}ß" for letter in string.ascii_lowercase) * 2 + "straße" * 4

    assert refusal(username, username=username).reason == "context"


def test_somebody_elses_name_is_no_context() -> None:
    """The same password, for another account."""
    SITE.validate("quillfeather smithsonite", username="alice")
    assert refusal("smithsonite-quillfeather", username="quillfeather.smithsonite@example.com").reason == "context"


def test_a_name_beside_a_common_word_is_refused_and_beside_others_is_not() -> None:
    """The name is known, the other word is tried."""
    assert refusal("larkfieldwelcome").reason == "context"
    SITE.validate("larkfield ladle orbit thaw")


def test_words_are_only_those_of_the_policy() -> None:
    """Without them the site's name is a word like any other."""
    PasswordPolicy().validate("larkfield thaw larch")
    assert refusal("larkfield thaw larch", PasswordPolicy(words=("Larkfield Thaw", "Larch"))).reason == "context"


def test_two_of_the_most_used_words_are_refused_and_three_are_not() -> None:
    """Whole passwords are compared: no word is refused because it occurs."""
    assert refusal("football baseball").reason == "common"
    SITE.validate("football baseball monkey")


# What is not


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "my password is a llama",
        "password for the library",
        "1234 is my favourite tea",
        "qwerty is not my cat's name",
        "aaaa, said the doctor",
        "Zwölf Boxkämpfer jagen",
        "съешь ещё этих булок",
        "御立派な暗証番号でございますね実に",
        "🐙🦊🐝🦉🐢🦔🐌🦋🐞🦂🐧🦜🦩🐊🦭",
        "7750086543459755",
        "9192675834707707",
        "ecafd43cd00fcf15",
        "a620b5a4bc990b2a",
        "e9f6babe1fba23b0",
        "3629632147882102",
        "(.!/(:(!?+.{\\(]-",
        "@$+!/;@_@`_@].>@",
        "a%==~YCTN5BPH-9)",
    ],
    ids=ascii,
)
def test_good_password_is_accepted(password: str) -> None:
    """A word or a run that occurs in it does not matter (NIST SP 800-63B-4: the entire password, not substrings)."""
    SITE.validate(password, username=passwords.USERNAME)


def test_no_random_password_is_refused() -> None:
    """A sample of 150,000: `python3 dev.py passwords`."""
    assert passwords.rejected(passwords.generated(4_000, seed=1)) == []


def test_no_passphrase_is_refused() -> None:
    """Of four words of the list itself, with and without separators and a digit at the end."""
    assert passwords.rejected(passwords.passphrases(2_000, seed=1)) == []


def test_a_rule_that_looks_inside_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a passphrase were refused because of a word in it, the sample above would say so."""
    monkeypatch.setattr("sessionware.auth.policy.weakness.is_pair", lambda core, words: core[:4] in words)

    assert passwords.rejected(passwords.passphrases(200, seed=1)) != []


@pytest.mark.parametrize("length", [128, 1024])
@pytest.mark.parametrize("kind", ["k7", "1q", "!?", "ab", "12", "p@", "\u0315\u0300", "\ufdfa"], ids=ascii)
def test_a_long_password_takes_few_steps(kind: str, length: int) -> None:
    """However it is made: a quadratic rule would take a million. (Steps, because time depends on the machine.)"""
    steps = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal steps
        steps += event == "call"

    text = "".join(f"{kind}{number}" for number in range(length))[:length]
    common(), most_used()
    sys.setprofile(count)
    try:
        SITE.validate(text)
    except PasswordRejected:
        pass
    finally:
        sys.setprofile(None)
    assert steps < 20_000


# The policy


@pytest.mark.parametrize(
    "settings",
    [
        {"words": "Larkfield"},
        {"words": ("",)},
        {"words": ("ab",)},
        {"words": ("…",)},
        {"words": (7,)},
        {"words": None},
        {"breached": "https://example.com"},
        {"breached": True},
        {"breached_timeout": 0},
        {"breached_timeout": -1.0},
        {"breached_timeout": None},
        {"breached_timeout": True},
        {"breached_timeout": 3600},
    ],
    ids=repr,
)
def test_wrong_setting_says_what_to_write(settings: dict[str, Any]) -> None:
    """When the policy is built."""
    (name,) = settings
    with pytest.raises(ConfigError, match=rf"{name}=.*: (write|pass)"):
        PasswordPolicy(**settings)


def test_a_coroutine_function_cannot_be_asked() -> None:
    """What it returns is true, whatever it would say."""

    async def ask(password: str) -> bool:
        return False

    with pytest.raises(ConfigError, match="plain function"):
        PasswordPolicy(breached=ask)  # type: ignore[arg-type]


def test_words_may_be_a_list() -> None:
    """The policy keeps a tuple, so that it stays a value."""
    policy = PasswordPolicy(words=["Larkfield"])  # type: ignore[arg-type]

    assert policy == PasswordPolicy(words=("Larkfield",))
    assert hash(policy) == hash(PasswordPolicy(words=("Larkfield",)))


@pytest.mark.parametrize("username", [None, b"ada", 7])
def test_a_username_is_text(username: Any) -> None:
    """Anything else is a mistake of the program."""
    with pytest.raises(TypeError, match="username"):
        SITE.validate(GOOD, username=username)


def test_a_huge_username_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut before it is normalised: with 100,000 marks out of order that would take ten seconds."""
    normalised: list[int] = []

    def names_in(text: str) -> list[str]:
        normalised.append(len(text))
        return []

    monkeypatch.setattr("sessionware.auth.policy.policy.names_in", names_in)
    PasswordPolicy().validate(GOOD, username="a" + "\u0315\u0300" * 50_000)

    assert normalised == [128]


def test_the_plain_function_takes_a_username_too() -> None:
    """`validate_password`, for tables of one's own."""
    with pytest.raises(PasswordRejected, match="your username"):
        validate_password("quillfeather1234", username="quillfeather")


# The list


def test_the_list_is_what_its_recipe_makes() -> None:
    """Byte for byte, from the release of zxcvbn that NOTICE names."""
    assert common_passwords() == FILE.read_text(encoding="ascii")


def test_the_list_is_the_one_that_the_docs_describe() -> None:
    """Its length and its digest."""
    page = (HERE.parents[1] / "docs" / "passwords.md").read_text(encoding="utf-8")
    content = FILE.read_bytes()
    count = content.count(b"\n")

    assert f"{count:,} words" in page
    assert hashlib.sha256(content).hexdigest() in page


def test_the_list_covers_more_than_three_thousand_passwords_of_the_least_length() -> None:
    """ASVS 5.0 6.2.4 asks for the top 3,000 that match the policy. Two of the ways to make one, a sample of each."""
    words = FILE.read_text(encoding="ascii").split()
    doubled = {word * 2 for word in words if len(word) * 2 >= 15}
    with_numbers = {f"{word}123456789"[:24] for word in words if len(word) + 9 >= 15}

    assert len(doubled) >= 15_000
    assert len(with_numbers) >= 45_000
    for covered in (*sorted(doubled)[::97], *sorted(with_numbers)[::211]):
        assert refusal(covered).reason == "common"


def test_a_set_of_words_has_its_words_and_no_others() -> None:
    """Of each length, the first and the last among them, and nothing that lies across two."""
    words = Words(["abcd", "bcda", "cdab", "zzzz", "ab", "x"])

    assert all(word in words for word in ("abcd", "bcda", "cdab", "zzzz", "ab", "x"))
    assert not any(word in words for word in ("", "a", "aaaa", "dbcd", "cdbc", "zzzzz", "aabc", 7))


def test_the_most_used_are_at_the_head() -> None:
    """So many, and all of them are in the whole."""
    assert len(most_used()) == MOST_USED
    assert all(word in common() for word in most_used())


def test_the_list_is_read_when_a_password_is_set_and_not_before() -> None:
    """Neither by an import nor by a login, so that whoever does not register people has no use for its memory."""
    program = f"""
        from sessionware import MemoryStore, SessionManager
        from sessionware.auth import Auth, MemoryUsers, hash_password
        from sessionware.auth.policy import common_passwords
        users = MemoryUsers()
        users.add("ada", "Ada", hash_password({GOOD!r}), {{}})
        auth, manager = Auth(users), SessionManager("v9Kq2xTz7LmW4pRc8NdY1sHb6GfJ3eUa", MemoryStore())
        auth.authenticate(manager, "Ada", {GOOD!r})
        assert common_passwords.common.cache_info().misses == 0
        auth.register(manager, "Bob", {GOOD!r}, login=False)
        assert common_passwords.common.cache_info().misses == 1
    """
    lines = "\n".join(line.strip() for line in program.splitlines())
    subprocess.run([sys.executable, "-c", lines], check=True, timeout=60)


# Breached passwords


class Checker:
    """A function of the application's, and what it was asked."""

    def __init__(self, answer: Callable[[], Any] = lambda: False) -> None:
        self.asked: list[str] = []
        self._answer = answer

    def __call__(self, password: str) -> bool:
        self.asked.append(password)
        return self._answer()  # type: ignore[no-any-return]


def fail() -> bool:
    raise OSError(GOOD)


def told(policy: PasswordPolicy) -> list[str]:
    """What the policy reports about the check of a good password, which it accepts."""
    reports: list[str] = []
    policy.validate(GOOD, on_unavailable=reports.append)
    return reports


def test_a_breached_password_is_refused() -> None:
    """With a reason of its own."""
    assert refusal(GOOD, PasswordPolicy(breached=lambda password: password == GOOD)).reason == "breached"
    assert told(PasswordPolicy(breached=lambda password: False)) == []


def test_it_is_asked_once_about_the_password_as_it_was_typed() -> None:
    """Neither folded nor cut."""
    checker = Checker()
    PasswordPolicy(breached=checker).validate("Ladle  ORBIT thaw \uff51uiver ")

    assert checker.asked == ["Ladle  ORBIT thaw \uff51uiver "]


@pytest.mark.parametrize(
    "password", ["short", "x" * 1025, "tab\there, tab\tthere", "passwordpassword", "larkfield1234567"]
)
def test_it_is_not_asked_about_what_is_refused_anyway(password: str) -> None:
    """No other service learns of it, and nobody waits."""
    checker = Checker()
    refusal(password, PasswordPolicy(words=("Larkfield",), breached=checker))

    assert checker.asked == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (fail, "raised OSError in fail, line "),
        (lambda: 3, "returned an object of type int"),
        (lambda: None, "returned an object of type NoneType"),
        (lambda: sys.exit(1), "raised SystemExit"),
    ],
)
def test_a_check_that_fails_is_reported_and_the_list_decides(answer: Callable[[], Any], why: str) -> None:
    """Without what it raised, which may quote the password."""
    (report,) = told(PasswordPolicy(breached=Checker(answer)))

    assert report.startswith("breached= ")
    assert why in report
    assert report.endswith("the password was checked against the list of common ones alone")
    assert GOOD not in report


@pytest.fixture
def hanging() -> Iterator[PasswordPolicy]:
    """A policy whose check answers when the test is over."""
    over = threading.Event()
    yield PasswordPolicy(breached=Checker(lambda: over.wait(30)), breached_timeout=0.02)
    over.set()
    for thread in checkers():
        thread.join(10)


def checkers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sessionware-breached"]


def test_a_check_that_hangs_is_given_up(hanging: PasswordPolicy) -> None:
    """After the time limit."""
    assert told(hanging) == [
        "breached= gave no answer within 0.02 s; the password was checked against the list of common ones alone"
    ]


def test_checks_that_hang_do_not_pile_up(hanging: PasswordPolicy) -> None:
    """There are eight at most in a process. Then none is begun, until one of them ends."""
    reports = [told(hanging)[0] for _ in range(12)]

    assert len(checkers()) == 8
    assert [report for report in reports if "8 calls of breached= were under way" in report] == reports[8:]


def test_once_they_have_ended_it_is_asked_again(hanging: PasswordPolicy) -> None:
    """Nothing is lost for good."""
    for _ in range(8):
        told(hanging)
    hanging.breached._answer = lambda: True  # type: ignore[union-attr]
    assert "under way" in told(hanging)[0]


def test_a_check_that_raised_or_answered_leaves_its_place() -> None:
    """However often."""
    for answer in (fail, lambda: False):
        for _ in range(20):
            told(PasswordPolicy(breached=Checker(answer)))
    assert told(PasswordPolicy(breached=Checker())) == []


def test_no_thread_to_ask_in_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """And costs no place."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for _ in range(10):
            assert "no thread" in told(PasswordPolicy(breached=Checker()))[0]
    assert told(PasswordPolicy(breached=Checker())) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_wait_for_its_parents_checks(hanging: PasswordPolicy) -> None:
    """Their threads are not in it, and would never end there."""
    for _ in range(8):
        told(hanging)
    before = breached._free_by_process.copy()

    assert list(before) == [os.getpid()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        assert told(PasswordPolicy(breached=Checker())) == []
    del breached._free_by_process[-1]


def test_a_check_that_hangs_does_not_keep_the_process() -> None:
    """It ends while the check is under way."""
    program = (
        "import threading; from sessionware.auth import PasswordPolicy; "
        "policy = PasswordPolicy(breached=lambda password: threading.Event().wait(), breached_timeout=0.02); "
        f"policy.validate({GOOD!r}); print('over')"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True)

    assert ended.stdout == "over\n"


def test_without_anybody_to_tell_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As a warning, under the name of the event."""
    PasswordPolicy(breached=Checker(fail)).validate(GOOD)

    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "sessionware")
    assert record.getMessage().startswith("policy.unavailable detail='breached= raised OSError")


class Ranges:
    """Answers as the service of the recipe does, on this machine: digests that begin alike, one of them padding."""

    def __init__(self, *known: tuple[str, int]) -> None:
        self.known = {hashlib.sha1(password.encode()).hexdigest().upper(): count for password, count in known}
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        begin = environ["PATH_INFO"].removeprefix("/range/")
        self.asked.append((begin, environ.get("HTTP_ADD_PADDING")))
        found = {digest[5:]: count for digest, count in self.known.items() if digest.startswith(begin)}
        start_response("200 OK", [("Content-Type", "text/plain")])
        lines = [f"{rest}:{count}" for rest, count in ({"0" * 35: 7, "F" * 35: 0} | found).items()]
        return ["\r\n".join(lines).encode()]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Nothing."""


def recipe(url: str) -> Callable[[str], bool]:
    """The function on the page, asking another address."""
    page = (HERE.parents[1] / "docs" / "passwords.md").read_text(encoding="utf-8")
    (code,) = [block.code for block in blocks(page) if "RANGES" in block.code]
    namespace: dict[str, Any] = {"PasswordPolicy": PasswordPolicy}
    exec(code, namespace)
    namespace["RANGES"] = url
    function: Callable[[str], bool] = namespace["is_breached"]
    return function


def test_the_recipe_finds_a_breached_password_and_sends_no_more_than_five_digits() -> None:
    """It asks for padding, and takes none for a password."""
    ranges = Ranges((GOOD, 12), ("padding for the ladle", 0))
    with make_server("127.0.0.1", 0, ranges, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        is_breached = recipe(f"http://127.0.0.1:{server.server_port}/range/")
        answers = [is_breached(each) for each in (GOOD, "padding for the ladle", "another ladle")]
        assert refusal(GOOD, PasswordPolicy(breached=is_breached)).reason == "breached"
        server.shutdown()

    assert answers == [True, False, False]
    assert {(len(begin), padding) for begin, padding in ranges.asked} == {(5, "true")}


def test_the_recipe_is_not_in_the_way_if_nobody_answers() -> None:
    """As with any other function."""
    with make_server("127.0.0.1", 0, Ranges(), handler_class=Quiet) as server:
        port = server.server_port
    (report,) = told(PasswordPolicy(breached=recipe(f"http://127.0.0.1:{port}/range/")))

    assert "raised URLError" in report


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "CorrectHorseBatteryStaple",
        "c0rrect-h0rse-battery-staple1",
        "cleft cam synod lacy yr wok",
    ],
)
def test_passphrases_that_books_and_comics_show_are_refused(password: str) -> None:
    """Whoever guesses has read them too."""
    assert refusal(password).reason == "common"


# In `Auth`


def test_registering_tells_the_policy_the_username() -> None:
    """A password that is made of it is refused, and there is no account."""
    site = AuthSite()
    with pytest.raises(PasswordRejected, match="your username"):
        site.auth.register(site.manager, "Quillfeather", "quillfeather1234", login=False)

    assert site.users.find_by_key("quillfeather") is None


def test_a_check_without_an_answer_is_an_event_of_the_request() -> None:
    """With the address of who registers. The account is made."""
    site = AuthSite(policy=PasswordPolicy(breached=Checker(fail)))
    user = site.browser().do(lambda environ: site.auth.register(environ, "Ada", GOOD))

    (event,) = site.told("policy.unavailable")
    assert "raised OSError" in event.detail
    assert event.client_address == "192.0.2.7"
    assert site.users.find_by_key("ada") == user


def test_nobody_is_asked_about_a_password_before_the_registration_is_counted() -> None:
    """A flood reaches us, and not the service behind `breached`. What we refuse ourselves costs no attempt."""
    checker = Checker()
    site = AuthSite(policy=PasswordPolicy(breached=checker), throttle=Throttle(register=Rate(2, 60)))
    browser = site.browser()

    def register(password: str) -> str:
        def view(environ: Environ) -> str:
            try:
                site.auth.register(environ, "Ada", password, login=False)
            except (PasswordRejected, Throttled, UsernameTaken) as error:
                return type(error).__name__
            return "done"

        return str(browser.do(view))

    assert [register("passwordpassword") for _ in range(5)] == ["PasswordRejected"] * 5
    assert [register(GOOD) for _ in range(4)] == ["done", "UsernameTaken", "Throttled", "Throttled"]
    assert checker.asked == [GOOD] * 2


def test_a_service_that_is_down_is_told_once_a_minute() -> None:
    """With how often it was missed."""
    site = AuthSite(policy=PasswordPolicy(breached=Checker(fail)), throttle=Throttle(register=None))

    for number in range(4):
        site.auth.register(site.manager, f"Ada{number}", GOOD, login=False)
    site.clock.tick(60)
    site.auth.register(site.manager, "Eve", GOOD, login=False)

    first, second = site.told("policy.unavailable")
    assert "since" not in first.detail
    assert second.detail.endswith("; 3 more since this was last told")


@pytest.mark.parametrize("is_taken", [False, True])
def test_the_check_is_asked_before_anybody_knows_whether_the_name_is_free(is_taken: bool) -> None:
    """Both answers take the same time."""
    checker = Checker()
    site = AuthSite(policy=PasswordPolicy(breached=checker))
    if is_taken:
        site.users.add("ada", "Ada", None, {})
    try:
        site.auth.register(site.manager, "Ada", GOOD, login=False)
    except UsernameTaken:
        assert is_taken
    assert checker.asked == [GOOD]
