"""What all namespaces of a `RedisStore` share: the way to the server, what is sent again, and the errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..errors import ConfigError, StoreUnavailable
from ._redis_checks import check, release
from ._redis_cluster import Way, way_to
from ._redis_errors import bare, unavailable
from ._redis_node import Command
from ._redis_package import exceptions
from ._redis_scripts import Script
from ._redis_settings import Settings

_logger = logging.getLogger("sessionware")

#: Commands in one pipeline, so that no answer takes much memory.
_TOGETHER = 500

_Answer = TypeVar("_Answer")


class Link:
    """The way to a server or a cluster. Many threads use it, and after a fork, the child has one of its own.

    Args:
        settings: Where it leads.
        probe: A key that nobody has, to rehearse with.
    """

    def __init__(self, settings: Settings, probe: bytes) -> None:
        self.settings = settings
        self._probe = probe
        self._failures: tuple[type[Exception], ...] = (exceptions.RedisError, OSError)
        self._is_checked = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget all connections. After a fork they are the parent's."""
        self._way: Way = way_to(self.settings)
        self._process = os.getpid()

    def open(self) -> None:
        """Look at the server, if it answers, and leave no connection open. Raises `ConfigError`."""
        try:
            self._check()
        except self._failures as error:
            _logger.warning("%s", unavailable(error, self.settings))
        finally:
            self.close()

    def close(self) -> None:
        """Close all connections. A later use opens new ones."""
        self._way.close()

    def server_version(self) -> str:
        return self._told(lambda: release(self._way))

    @property
    def spans_slots(self) -> bool:
        """Whether a script may have keys that do not belong together."""
        return self._way.spans_slots

    def run(self, script: Script, keys: Sequence[bytes], *arguments: Any) -> Any:
        """Run a script that may change something. It is sent once."""
        return self._told(self._run, script, (len(keys), *keys, *arguments))

    def run_all(self, script: Script, calls: Sequence[tuple[Sequence[bytes], Command]]) -> list[Any]:
        """Run a script several times, each time with these keys and arguments, in one round trip if possible."""
        rests = [(len(keys), *keys, *arguments) for keys, arguments in calls]
        return self._told(self._run_page, script, rests)

    def read(self, key: bytes, *command: Any) -> Any:
        """Send a command that changes nothing. If the connection breaks meanwhile, it is sent once more."""
        return self._told(self._read, key, command)

    def read_all(self, commands: Sequence[tuple[bytes, Command]]) -> list[Any]:
        """Send commands that change nothing, each with its key, in as few round trips as possible."""
        answers: list[Any] = []
        for start in range(0, len(commands), _TOGETHER):
            answers += self._told(self._read_page, commands[start : start + _TOGETHER])
        return answers

    def _told(self, ask: Callable[..., _Answer], *arguments: Any) -> _Answer:
        if os.getpid() != self._process:  # not by Python's hooks, which uWSGI does not run
            self._begin_anew()
        try:
            if not self._is_checked:
                self._check_in_use()
            return ask(*arguments)
        except self._failures as error:
            if self._way.failed(error):
                self._is_checked = False
            raise unavailable(error, self.settings) from bare(error)

    def _run(self, script: Script, rest: Command) -> Any:
        try:
            return self._way.send(rest[1], ("EVALSHA", script.digest, *rest))
        except exceptions.NoScriptError:  # the server was restarted, and has done nothing
            return self._way.send(rest[1], ("EVAL", script.text, *rest))

    def _run_page(self, script: Script, rests: Sequence[Command]) -> list[Any]:
        answers = self._way.send_all([(rest[1], ("EVALSHA", script.digest, *rest)) for rest in rests])
        for place, answer in enumerate(answers):
            if isinstance(answer, exceptions.NoScriptError):
                answers[place] = self._run(script, rests[place])
        return _without_errors(answers)

    def _read(self, key: bytes, command: Command) -> Any:
        try:
            return self._way.send(key, command)
        except exceptions.ConnectionError as error:
            if type(error) is not exceptions.ConnectionError:  # a wrong password, or data that is being loaded
                raise
            return self._way.send(key, command)

    def _read_page(self, commands: Sequence[tuple[bytes, Command]]) -> list[Any]:
        try:
            answers = self._way.send_all(commands)
        except exceptions.ConnectionError as error:
            if type(error) is not exceptions.ConnectionError:
                raise
            answers = self._way.send_all(commands)
        return _without_errors(answers)

    def _check_in_use(self) -> None:
        """A server that was down when the application started is looked at now, and then its requests fail."""
        try:
            self._check()
        except ConfigError as error:
            self._way.close()  # the address may lead elsewhere by the next time
            raise StoreUnavailable(str(error)) from error

    def _check(self) -> None:
        check(self._way, self.settings, self._probe)
        self._is_checked = True


def _without_errors(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
