"""The server's log: one line per record, for people or as JSON, without secrets."""

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
# Secrets that must never appear in a log, whichever library logs them: a pattern, its replacement,
# and words of which the text must contain one (a quick check before the pattern is tried).
_SECRETS = (
    # the user and password of a URL
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@'\"]*@"), rf"\1{_HIDDEN}@", ("://",)),
    # YouTube's media URLs are signed, in the query or in the path
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
    """Log everything to standard error, in the format and at the level that the settings name."""
    formatter = JsonConsole if settings.log_format == "json" else Console
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(_passwords(settings)))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)


class Console(logging.Formatter):
    """`2026-01-31 12:00:00,000 INFO logger: message name=value …`, then the traceback."""

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
    """One object per line: time (UTC), level, logger, message, the fields, the traceback."""

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
    """The values given as `extra={"fields": …}`, except those that are None."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {name: value for name, value in fields.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{_plain(inner)}" for name, inner in value.items())
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


def _passwords(settings: Settings) -> set[str]:
    """Users and passwords in the configured URLs, percent-encoded and decoded."""
    given = [value for _, value in settings if isinstance(value, str)]
    found = set()
    for url in [*given, *(os.environ.get(name, "") for name in _PROXIES)]:
        _, scheme, rest = url.partition("://")
        login, at, _ = rest.rpartition("@")
        if scheme and at:
            password = login.partition(":")[2] or login
            found |= {login, password, unquote(password)}
    return found - {""}
