"""Everything sessionware raises, in one tree.

SessionwareError
├── ConfigError            a wrong setting: raised when the object is built, says what to write instead
├── StoreError
│   ├── StoreUnavailable   the medium failed; try again later
│   └── SessionConflict    too many concurrent writers
├── SessionClosed          changed after the headers went out
├── SessionTooLarge        more data than `max_bytes`
└── AuthError              .status .message (for people) .reason (a code)
    ├── LoginFailed 403          NotLoggedIn 403
    ├── Throttled 429            Busy 503
    ├── CrossOriginRefused 403   TokenInvalid 403
    ├── NotFresh 403             TooManySessions 403
    └── UsernameTaken 409        UsernameRejected 422    PasswordRejected 422

A value of the wrong *type* (a number instead of text) is Python's own `TypeError`; `NotStorable` is one of those.
"""

from __future__ import annotations


class SessionwareError(Exception):
    """Base of everything this library raises on purpose."""


class ConfigError(SessionwareError):
    """A setting is wrong; the message says what to write instead."""


class StoreError(SessionwareError):
    """A store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The medium failed (disk, database, network). What was stored before is still there; try again later."""


class SessionConflict(StoreError):
    """Other requests kept changing the session for so long that this one gave up."""


class SessionClosed(SessionwareError):
    """The change came too late: it needs a cookie and the headers are out, or the request is over."""


class SessionTooLarge(SessionwareError):
    """The session's data, encoded, is larger than `max_bytes`."""


class NotStorable(TypeError):
    """This value, or one inside it, cannot be kept in a session."""


class AuthError(SessionwareError):
    """A login, a registration or a rule for accounts refused the request.

    `status` is the HTTP status to answer with.

    Args:
        message: A text for people. Without one, that of the class.
        reason: A stable code for programs. Without one, that of the class.
        retry_after: The number of seconds to wait, or None.
    """

    status: int = 403
    message: str = "You are not allowed to do this."
    reason: str = "refused"

    def __init__(
        self, message: str | None = None, *, reason: str | None = None, retry_after: int | None = None
    ) -> None:
        self.message: str = message or self.message
        self.reason: str = reason or self.reason
        self.retry_after = retry_after
        super().__init__(self.message)


class LoginFailed(AuthError):
    """The username and password do not match. Never says which of the two was wrong."""

    # 403, not 401: a 401 must carry WWW-Authenticate (RFC 9110 §15.5.2), and there is no scheme for forms.
    message = "Incorrect username or password."
    reason = "invalid_credentials"


class Throttled(AuthError):
    """Too many attempts; wait `retry_after` seconds."""

    status = 429
    message = "Too many attempts. Please wait a moment and try again."
    reason = "throttled"


class Busy(AuthError):
    """For some seconds there was no turn to hash a password."""

    status = 503
    message = "The server is busy. Please try again in a few seconds."
    reason = "busy"


class CrossOriginRefused(AuthError):
    """The form was sent from another website."""

    message = "This form was sent from another website. Please open the page here and try again."
    reason = "cross_origin"


class UsernameTaken(AuthError):
    """Another account has this username."""

    status = 409
    message = "That username is taken. Please choose another."
    reason = "taken"


class UsernameRejected(AuthError):
    """This text cannot be a username."""

    status = 422
    message = (
        "Please choose a username of up to 128 letters and digits of one alphabet, without spaces. "
        "Signs such as . - _ @ are fine."
    )
    reason = "invalid"


class PasswordRejected(AuthError):
    """This text cannot be a password; `reason` says why."""

    status = 422
    message = "Please choose another password."
    reason = "invalid"


class NotLoggedIn(AuthError):
    """The page is only for people who are logged in."""

    message = "Please log in first."
    reason = "not_logged_in"
    environ_key: str | None = None
    """The environ key of the session that nobody is logged in to, if an `Auth` says so. A request may have several."""


class NotFresh(AuthError):
    """Whoever is logged in has to prove it once more before this page."""

    message = "Please confirm that it is you first."
    reason = "not_fresh"
    environ_key: str | None = None
    """As in `NotLoggedIn`."""
    methods: tuple[str, ...] = ()
    """What has to be proved, such as `("password",)` or `("totp",)`."""


class TooManySessions(AuthError):
    """The account is logged in as often as it may be."""

    message = "You are logged in on too many devices. Please log out on one of them first."
    reason = "too_many_sessions"


class TokenInvalid(AuthError):
    """The link is wrong, used up or too old."""

    message = "This link is no longer valid. Please ask for a new one."
    reason = "token_invalid"
