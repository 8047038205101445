"""A small Django site, and Django's settings for as long as a test needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.validate import validator

import django
from asgiref.local import Local
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.http import HttpResponse
from django.test.signals import setting_changed
from django.urls import clear_url_caches, path
from django.utils.functional import empty
from django.views.decorators.csrf import csrf_exempt
from webtest import TestApp

from sessionware import MemoryStore, Store
from tests.support.fixed import SECRET

MIDDLEWARE = [
    "sessionware.contrib.django.SessionwareMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
APPS = ["admin", "auth", "contenttypes", "messages", "sessions"]
PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]


def settings_of(directory: Path, store: Store | None = None) -> dict[str, Any]:
    """What a new project has, with our engine."""
    return {
        "ALLOWED_HOSTS": ["*"],
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "django.db"}},
        "INSTALLED_APPS": [f"django.contrib.{app}" for app in APPS],
        "LOGGING_CONFIG": None,
        "MIDDLEWARE": MIDDLEWARE,
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "ROOT_URLCONF": ModuleType("urls"),
        "SECRET_KEY": SECRET,
        "SESSION_ENGINE": "sessionware.contrib.django",
        "SESSIONWARE": {"store": store or MemoryStore()},
        "STATIC_URL": "static/",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": PROCESSORS},
            }
        ],
        "USE_TZ": True,
    }


@contextmanager
def configured(**values: Any) -> Iterator[None]:
    """Django with these settings and a database of its own, whatever else configures it in this process."""
    before, was_ready = settings._wrapped, apps.ready
    settings._wrapped = empty
    settings.configure(**values)
    forget(values)
    if was_ready:
        apps.set_installed_apps(values["INSTALLED_APPS"])
    django.setup(set_prefix=False)
    call_command("migrate", verbosity=0)
    try:
        yield
    finally:
        if was_ready:
            apps.unset_installed_apps()
        connections.close_all()
        forget(values)
        settings._wrapped = before


@contextmanager
def unconfigured() -> Iterator[None]:
    """Django as in a new process, for an example that configures it itself."""
    before, registry = settings._wrapped, vars(apps).copy()
    if settings.configured:
        forget(settings_of(Path()))
    settings._wrapped = empty
    forget_connections()
    vars(apps).update(app_configs={}, apps_ready=False, models_ready=False, ready=False, loading=False)
    apps.clear_cache()
    try:
        yield
    finally:
        if settings.configured:
            connections.close_all()
            forget(settings_of(Path()))
        vars(apps).update(registry)
        apps.clear_cache()
        settings._wrapped = before
        forget_connections()


def forget(values: dict[str, Any]) -> None:
    """Let Django forget what it has made of other settings."""
    forget_connections()
    for name, value in values.items():
        if name != "DATABASES":
            setting_changed.send(sender=None, setting=name, value=value, enter=True)


def forget_connections() -> None:
    """Let Django forget its databases."""
    connections.__dict__.pop("settings", None)
    connections._settings, connections._connections = None, Local(connections.thread_critical)


def serve(**views: Callable[..., Any]) -> Any:
    """The site with these views, by their names. A view returns a text, or a response."""
    settings.ROOT_URLCONF.urlpatterns = [path(name, csrf_exempt(_view(view))) for name, view in views.items()]
    clear_url_caches()
    return validator(get_wsgi_application())


def browser(**views: Callable[..., Any]) -> TestApp:
    """Somebody who visits the site with these views."""
    return TestApp(serve(**views))


def _view(view: Callable[..., Any]) -> Callable[..., Any]:
    def responding(request: Any) -> Any:
        result = view(request)
        return result if hasattr(result, "status_code") else HttpResponse(str(result))

    return responding
