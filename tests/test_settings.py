import subprocess
import sys
from pathlib import Path

import pytest

from serve.durations import MAX_DURATION_S
from serve.settings import PREFIX, Settings, SettingsError, fitted


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_the_defaults():
    settings = Settings.from_environment()
    assert settings.host == "127.0.0.1"
    assert settings.port == 5000
    assert settings.device == "auto"
    assert settings.max_duration_s == MAX_DURATION_S
    assert settings.model.name == "topgenre.onnx"
    assert settings.cors_origins == ("*",)


def test_they_come_from_the_environment(monkeypatch):
    for name, value in {
        "PORT": "8080",
        "HOST": "0.0.0.0",
        "DEVICE": "cpu",
        "MODEL": "/models/mine.onnx",
        "CORS_ORIGINS": "http://a, http://b",
        "YOUTUBE_CLIENTS": "visionos",
        "DEADLINE_S": "2.5",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    settings = Settings.from_environment()
    assert settings.port == 8080
    assert settings.host == "0.0.0.0"
    assert settings.device == "cpu"
    assert settings.model == Path("/models/mine.onnx")
    assert settings.cors_origins == ("http://a", "http://b")
    assert settings.youtube_clients == ("visionos",)
    assert settings.deadline_s == 2.5


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("PROT", "8080", "unknown setting: TOPGENRE_PROT"),
        ("PORT", "many", "TOPGENRE_PORT: .*integer"),
        ("PORT", "70000", "TOPGENRE_PORT: .*65535"),
        ("DEVICE", "tpu", "TOPGENRE_DEVICE: .*'auto', 'tensorrt', 'cuda' or 'cpu'"),
        ("DEADLINE_S", "0", "TOPGENRE_DEADLINE_S: .*greater than 0"),
        ("MAX_REQUESTS", "0", "TOPGENRE_MAX_REQUESTS"),
        ("LOG_LEVEL", "loud", "TOPGENRE_LOG_LEVEL"),
        ("CACHE", "memroy", "TOPGENRE_CACHE: .*`off`, `memory`, .*`redis://`.*absolute"),
        ("CACHE", "OFF", "TOPGENRE_CACHE"),
        ("CACHE", "", "TOPGENRE_CACHE"),
        ("CACHE", "redis", "TOPGENRE_CACHE"),
        ("CACHE", "cache/answers", "TOPGENRE_CACHE"),
        ("CACHE", "file:///var/cache", "TOPGENRE_CACHE"),
        ("CACHE", "~nobody-of-that-name/cache", "TOPGENRE_CACHE: .*home folder"),
        ("TUNING", "off", "TOPGENRE_TUNING: .*`.toml`"),
        ("MODEL", "~nobody-of-that-name/a.onnx", "TOPGENRE_MODEL: .*home folder"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch, name, value, text):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=text):
        Settings.from_environment()


@pytest.mark.parametrize(
    "value", ["off", "memory", "/var/cache", "~/answers", "./answers", "../answers", ".answers"]
)
def test_a_cache_is_a_mode_or_a_folder_that_looks_like_one(monkeypatch, value):
    monkeypatch.setenv("TOPGENRE_CACHE", value)
    assert Settings.from_environment().cache == value


def test_a_secret_in_a_wrong_address_is_not_repeated(monkeypatch):
    monkeypatch.setenv("TOPGENRE_CACHE", "reddis://:secret@localhost")
    with pytest.raises(SettingsError) as failed:
        Settings.from_environment()
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("name", ["MODEL", "TUNING", "YOUTUBE_COOKIES"])
def test_files_may_be_in_the_home_folder(monkeypatch, name):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv(PREFIX + name, "~/file.toml")
    assert getattr(Settings.from_environment(), name.lower()) == Path("/home/me/file.toml")


def test_all_that_is_wrong_is_named(monkeypatch):
    monkeypatch.setenv("TOPGENRE_PORT", "x")
    monkeypatch.setenv("TOPGENRE_DEVICE", "y")
    with pytest.raises(SettingsError, match=r"PORT.*; .*DEVICE|DEVICE.*; .*PORT"):
        Settings.from_environment()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_in_a_line(name):
    assert Settings.model_fields[name].description


@pytest.mark.parametrize(
    ("memory", "given", "decoders", "tracks", "waiting"),
    [
        (None, {}, 4, 16, 512 << 20),
        (64 << 30, {}, 4, 16, 512 << 20),
        (1024 << 20, {}, 3, 4, 192 << 20),
        (512 << 20, {}, 1, 1, 64 << 20),
        (100 << 20, {}, 1, 1, 16 << 20),
        (512 << 20, {"decoders": 3, "max_requests": 16, "waiting_bytes": 1 << 30}, 3, 16, 1 << 30),
    ],
)
def test_they_fit_the_container(monkeypatch, memory, given, decoders, tracks, waiting):
    monkeypatch.setattr("serve.settings.cores", lambda: 4)
    monkeypatch.setattr("serve.settings.memory_limit", lambda: memory)
    found = fitted(Settings(**given))
    assert (found.decoders, found.max_requests) == (decoders, tracks)
    assert found.waiting_bytes == waiting


def test_the_description_of_the_api_shows_the_defaults(monkeypatch):
    monkeypatch.setenv("TOPGENRE_MAX_DURATION_S", "7")
    code = "from serve.http.bodies import INFO; print(INFO.limits['max_duration_s'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == MAX_DURATION_S
