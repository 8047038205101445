"""Settings for Django's own tests, with the engine in its place, and a runner that writes down what became of them."""

from __future__ import annotations

import json
import os
import unittest
from importlib import import_module
from pathlib import Path
from typing import Any

from django.test import SimpleTestCase
from django.test.runner import DiscoverRunner

from sessionware import MemoryStore

DATABASES = {name: {"ENGINE": "django.db.backends.sqlite3"} for name in ("default", "other")}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "django_tests_secret_key"
USE_TZ = False
TEST_RUNNER = "tests.peers.django_plugin.Runner"

SESSION_ENGINE = "sessionware.contrib.django"
SESSIONWARE = {"store": MemoryStore(), "secret": "correct horse battery staple, and then some more of it"}


class Result(unittest.TextTestResult):
    """What became of each test, by its id."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.outcomes: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcomes[test.id()] = "passed"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.outcomes[test.id()] = "skipped"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self.outcomes[test.id()] = "failed"

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self.outcomes[test.id()] = "failed"

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self.outcomes[test.id()] = "failed"

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.outcomes[test.id()] = "failed"


class Runner(DiscoverRunner):  # type: ignore[misc]  # Django has no types
    """Django's, which also runs what all engines must pass on ours, and leaves the outcomes in a file."""

    def get_resultclass(self) -> type[Result]:
        return Result

    def build_suite(self, test_labels: list[str] | None = None, **options: Any) -> unittest.TestSuite:
        suite: unittest.TestSuite = super().build_suite(test_labels, **options)
        if "sessions_tests" in (test_labels or []):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(engine_tests()))
        return suite

    def run_suite(self, suite: unittest.TestSuite, **options: Any) -> Result:
        result: Result = super().run_suite(suite, **options)
        Path(os.environ["OUTCOMES"]).write_text(json.dumps(result.outcomes), encoding="utf-8")
        return result


def engine_tests() -> type[unittest.TestCase]:
    """Those that Django runs on each of its own engines."""
    mixin = import_module("sessions_tests.tests").SessionTestsMixin
    engine = import_module(SESSION_ENGINE)
    return type("SessionwareTests", (mixin, SimpleTestCase), {"backend": engine.SessionStore})
