"""CHANNELS_API: defaults, overrides, limits that are off, and the default permission classes."""

import math
import os
import sys

import pytest
from django.test import override_settings
from rest_framework import permissions as drf_permissions

from channels_api import permissions
from channels_api.settings import DEFAULTS, default_permission_classes, settings

LIMITS = {name for name in DEFAULTS if name.startswith("MAX_")}


@pytest.mark.parametrize("configured", [{}, None])
def test_defaults(configured):
    """What the documentation promises; THREADS depends on the machine."""
    expected = {
        "DEFAULT_PAGE_SIZE": 25,
        "DEFAULT_PERMISSION_CLASSES": None,
        "THREADS": min(32, os.cpu_count() + 4),
        "MAX_FRAME_BYTES": 64 * 1024,
        "MAX_DEPTH": 32,
        "MAX_REPLY_BYTES": 1024 * 1024,
        "FRAME_RATE": 100,
        "FRAME_BURST": 200,
        "MAX_IN_FLIGHT": 8,
        "MAX_QUEUED": 32,
        "MAX_SUBSCRIPTIONS": 100,
        "ACTION_TIMEOUT": 30,
        "SEND_TIMEOUT": 20,
        "HEARTBEAT": 10,
        "AUTH_MAX_AGE": 30,
        "REVALIDATE": 60,
        "SNAPSHOT_ROWS": 1000,
        "PING_INTERVAL": 20,
        "EMBEDDED_WORKER": False,
        "LOG": "memory",
        "HISTORY_SIZE": 1000,
        "HISTORY_SECONDS": 300,
    }
    assert expected.keys() == DEFAULTS.keys()
    with override_settings(CHANNELS_API=configured):
        assert {name: getattr(settings, name) for name in expected} == expected


def test_an_override_holds_while_it_lasts():
    """Nothing is kept between two reads."""
    with override_settings(CHANNELS_API={"DEFAULT_PAGE_SIZE": 3}):
        assert settings.DEFAULT_PAGE_SIZE == 3
        assert settings.MAX_DEPTH == 32
    assert settings.DEFAULT_PAGE_SIZE == 25


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_none_turns_a_limit_off(name):
    with override_settings(CHANNELS_API={name: None}):
        assert getattr(settings, name) == math.inf


NO_LIMITS = [
    "FRAME_RATE",
    "FRAME_BURST",
    "ACTION_TIMEOUT",
    "SEND_TIMEOUT",
    "REVALIDATE",
    "PING_INTERVAL",
]


@pytest.mark.parametrize("name", NO_LIMITS)
def test_none_is_none_where_it_is_no_number_to_compare_with(name):
    with override_settings(CHANNELS_API={name: None}):
        assert getattr(settings, name) is None


@pytest.mark.parametrize("name", ["PAGE_SIZE", "default_page_size", "__wrapped__"])
def test_an_unknown_attribute(name):
    with (
        override_settings(CHANNELS_API={name: 1}),
        pytest.raises(AttributeError, match=f"{name} is not a setting of channels_api"),
    ):
        getattr(settings, name)


class TestDefaultPermissionClasses:
    """The library's own setting, else the project's for DRF, else everybody may."""

    def test_nothing_is_set(self):
        assert default_permission_classes() == [drf_permissions.AllowAny]

    def test_the_rest_api_is_locked(self):
        locked = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]}
        with override_settings(REST_FRAMEWORK=locked):
            assert default_permission_classes() == [drf_permissions.IsAdminUser]

    def test_its_own_setting_comes_first(self):
        locked = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]}
        own = {
            "DEFAULT_PERMISSION_CLASSES": [
                "channels_api.permissions.IsAuthenticated",
                drf_permissions.DjangoModelPermissions,
            ]
        }
        with override_settings(REST_FRAMEWORK=locked, CHANNELS_API=own):
            assert default_permission_classes() == [
                permissions.IsAuthenticated,
                drf_permissions.DjangoModelPermissions,
            ]

    def test_an_empty_list_is_a_choice(self):
        locked = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]}
        own = {"DEFAULT_PERMISSION_CLASSES": []}
        with override_settings(REST_FRAMEWORK=locked, CHANNELS_API=own):
            assert default_permission_classes() == []

    def test_a_path_that_leads_nowhere_is_an_error(self):
        """Never a binding that everybody may use because of a typing mistake."""
        own = {"DEFAULT_PERMISSION_CLASSES": ["channels_api.permissions.IsAuthentcated"]}
        with override_settings(CHANNELS_API=own), pytest.raises(ImportError):
            default_permission_classes()


class TestAutodiscovery:
    """`<app>.bindings` of every installed app is imported when Django starts."""

    @pytest.fixture
    def make_app(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        made = []

        def make_app(name: str, bindings: str) -> None:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").touch()
            (tmp_path / name / "bindings.py").write_text(bindings)
            made.append(name)

        yield make_app
        for name in made:
            sys.modules.pop(name, None)
            sys.modules.pop(f"{name}.bindings", None)

    def test_bindings_are_imported(self, make_app, settings):
        make_app("discovered", "")
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "discovered"]
        assert "discovered.bindings" in sys.modules

    def test_an_error_in_them_is_not_hidden(self, make_app, settings):
        make_app("broken", "import no_such_module")
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "broken"]
