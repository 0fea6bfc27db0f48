"""The server's log: a line a record, for people or as JSON, and nobody's secrets in it."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from serve.settings import Settings

_HIDDEN = "[hidden]"
# What must never be read in a log, wherever a library may have it from: a pattern, what it becomes,
# and one of the words that have to be there for the pattern to be worth a try.
_SECRETS = (
    # the user and password of a URL
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@'\"]*@"), rf"\1{_HIDDEN}@", ("://",)),
    # YouTube signs the addresses of its media, in their queries or in their paths
    (
        re.compile(r"(?i)(https?://[^\s/'\"]*googlevideo\.com)/[^\s'\"]*"),
        rf"\1/{_HIDDEN}",
        ("googlevideo",),
    ),
    (re.compile(r"(?i)(https?://[^\s?'\"]+)\?[^\s'\"]*"), rf"\1?{_HIDDEN}", ("://",)),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(['\"]?\s*[:=,]\s*)[^\r\n]*"
        ),
        rf"\1\2{_HIDDEN}",
        ("authorization", "cookie", "x-api-key"),
    ),
    (re.compile(r"\btg_[0-9A-Za-z_-]{16,}"), _HIDDEN, ("tg_",)),
)
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")


def configure(settings: Settings) -> None:
    """Have everything logged to the standard error stream, as the settings say."""
    formatter = JsonConsole if settings.log_format == "json" else Console
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(_passwords(settings)))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)


class Console(logging.Formatter):
    """`2026-01-31 12:00:00,000 INFO logger: message name=value …`, tracebacks below."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = sorted(secrets, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return self._hide(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line itself."""
        return super().formatMessage(record) + "".join(
            f" {name}={_plain(value)}" for name, value in _fields(record).items()
        )

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        lowered = text.lower()
        for pattern, instead, words in _SECRETS:
            if any(word in lowered for word in words):
                text = pattern.sub(instead, text)
        return text


class JsonConsole(Console):
    """One object a line: time (UTC), level, logger, message, the fields, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._hide(record.getMessage()),
        }
        line |= {name: self._hidden(value) for name, value in _fields(record).items()}
        if record.exc_info:
            line["exception"] = self._hide(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)

    def _hidden(self, value: Any) -> Any:
        return self._hide(value) if isinstance(value, str) else value


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra={"fields": …}`; what is None is left out."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {name: value for name, value in fields.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{_plain(inner)}" for name, inner in value.items())
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


def _passwords(settings: Settings) -> set[str]:
    """Users and passwords of the URLs that were set, in each way they may be spelled."""
    given = [value for _, value in settings if isinstance(value, str)]
    found = set()
    for url in [*given, *(os.environ.get(name, "") for name in _PROXIES)]:
        _, scheme, rest = url.partition("://")
        login, at, _ = rest.rpartition("@")
        if scheme and at:
            password = login.partition(":")[2] or login
            found |= {login, password, unquote(password)}
    return found - {""}
