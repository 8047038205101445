"""Everything sessionware raises, in one tree.

SessionwareError
├── ConfigError            wrong set-up: raised when the object is built, says what to write instead
├── StoreError
│   ├── StoreUnavailable   the medium failed; try again later
│   └── SessionConflict    too many concurrent writers
├── SessionClosed          changed after the headers went out
├── SessionTooLarge        more data than `max_bytes`
└── AuthError              .status .message (for people) .reason (a code)
    ├── LoginFailed 403          NotLoggedIn 403
    ├── Throttled 429            Busy 503
    ├── CrossOriginRefused 403   TokenInvalid 403
    └── UsernameTaken 409        UsernameRejected 422    PasswordRejected 422

A wrong *type* (a number where text is due) is Python's own `TypeError`; `NotStorable`, for values, is one of those.
"""

from __future__ import annotations


class SessionwareError(Exception):
    """Base of everything this library raises on purpose."""


class ConfigError(SessionwareError):
    """A setting is wrong; the text says what to write instead."""


class StoreError(SessionwareError):
    """A store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The medium failed (disk, database, network). What was stored before is still there; try again later."""


class SessionConflict(StoreError):
    """Other requests kept changing the session for so long that this one gave up."""


class SessionClosed(SessionwareError):
    """The response's headers are out, and this change would have needed a cookie, or comes after the end."""


class SessionTooLarge(SessionwareError):
    """The session's data, encoded, is larger than `max_bytes`."""


class NotStorable(TypeError):
    """This value, or one inside it, cannot be kept in a session."""


class AuthError(SessionwareError):
    """A login, a registration or an account's rule said no.

    `status` is the HTTP status to answer with, `message` is for people, `reason` is a stable code for programs,
    `retry_after` is seconds to wait, or None.
    """

    status = 403
    message = "You are not allowed to do this."
    reason = "refused"

    def __init__(
        self, message: str | None = None, *, reason: str | None = None, retry_after: int | None = None
    ) -> None:
        self.message = message or self.message
        self.reason = reason or self.reason
        self.retry_after = retry_after
        super().__init__(self.message)


class LoginFailed(AuthError):
    """User name and password do not belong together. Never says which of the two was wrong."""

    # 403, not 401: a 401 has to carry WWW-Authenticate (RFC 9110 §15.5.2), and forms have no scheme to name.
    message = "User name or password is not right."
    reason = "invalid_credentials"


class Throttled(AuthError):
    """Too many attempts; wait `retry_after` seconds."""

    status = 429
    message = "Too many attempts. Please wait a moment and try again."
    reason = "throttled"


class Busy(AuthError):
    """All the memory set aside for checking passwords is in use."""

    status = 503
    message = "The server is busy. Please try again in a few seconds."
    reason = "busy"


class CrossOriginRefused(AuthError):
    """The form was sent from another web site."""

    message = "This form was sent from another web site. Please open the page here and try again."
    reason = "cross_origin"


class UsernameTaken(AuthError):
    """Somebody else has this user name."""

    status = 409
    message = "This user name is taken. Please choose another one."
    reason = "taken"


class UsernameRejected(AuthError):
    """This text cannot be a user name."""

    status = 422
    message = "Please choose a user name of up to 128 letters, digits and signs, without spaces."
    reason = "invalid"


class PasswordRejected(AuthError):
    """This text cannot be a password; `reason` says why."""

    status = 422
    message = "Please choose another password."
    reason = "invalid"


class NotLoggedIn(AuthError):
    """The page needs somebody who is logged in."""

    message = "Please log in first."
    reason = "not_logged_in"


class TokenInvalid(AuthError):
    """The link is wrong, used up or too old."""

    message = "This link is not valid any more. Please ask for a new one."
    reason = "token_invalid"
