"""`make audit`: the bill of materials, the licences, the advisories; and the notices."""

from __future__ import annotations

import json
import re
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy import audit, licences
from deploy.needs import EXTRAS, needed
from tests.deploy.osv import ADVISORY, osv

ROOT = Path(__file__).parents[2]
NEEDED = needed("topgenre", EXTRAS)
PARTS = {name: part for name, part in NEEDED.items() if name != "topgenre"}


class Part(Distribution):
    """A distribution of which no more is known than its metadata."""

    def __init__(self, name="part", **fields):
        lines = {"Name": name, "Version": "1"} | fields
        self._text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())

    def read_text(self, filename):
        return self._text if filename == "METADATA" else None

    def locate_file(self, path):
        raise NotImplementedError


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The exit code, the bill of materials, and what OSV was asked."""
    path = tmp_path_factory.mktemp("audit") / "sub" / "sbom.json"
    with osv() as service:
        code = audit.main(["--out", str(path), "--osv", service.url])
    return code, json.loads(path.read_text()), service.asked


def test_nothing_is_known_against_what_the_server_needs(audited):
    code, _, asked = audited
    assert code == 0
    assert set(asked) == {(name, part.version) for name, part in PARTS.items()}


def test_the_bill_names_every_needed_distribution_with_version_and_licence(audited):
    _, bill, _ = audited
    named = {(part["name"], part["version"]) for part in bill["components"]}
    assert named == {(part.name, part.version) for part in PARTS.values()}
    assert bill["metadata"]["component"]["name"] == "topgenre"
    assert all(part["licenses"] for part in bill["components"])
    assert all(part["purl"].startswith("pkg:pypi/") for part in bill["components"])


def test_the_bill_is_as_its_schema_has_it(audited):
    _, bill, _ = audited
    version = SchemaVersion.from_version(bill["specVersion"])
    assert JsonStrictValidator(version).validate_str(json.dumps(bill)) is None


def test_what_the_server_imports_is_needed():
    assert {"numpy", "av", "yt-dlp", "deno", "starlette", "uvicorn", "redis"} <= NEEDED.keys()
    assert not {"tensorflow", "librosa", "pytest"} & NEEDED.keys()


def test_an_advisory_is_told():
    with osv() as service:
        service.bad.add("idna")
        known = audit.advisories([NEEDED["idna"], NEEDED["h11"]], service.url)
    assert known == [
        f"idna {NEEDED['idna'].version}: {ADVISORY}, mended in 99.0",
    ]


def test_without_the_service_nothing_is_known(monkeypatch, tmp_path, capsys):
    with osv() as gone:
        pass
    monkeypatch.setattr(audit, "bill_of_materials", lambda parts: {})
    monkeypatch.setattr(audit, "needed", lambda *_: {k: NEEDED[k] for k in ("topgenre", "h11")})
    assert audit.main(["--out", str(tmp_path / "sbom.json"), "--osv", gone.url]) == 3
    assert "UNKNOWN" in capsys.readouterr().out


def test_no_licence_forbids_ours():
    assert {name: why for name, part in PARTS.items() if (why := licences.forbidden(part))} == {}


@pytest.mark.parametrize(
    ("part", "fine"),
    [
        (Part(License_Expression="MIT"), True),
        (Part(License_Expression="AGPL-3.0-only OR MIT"), True),
        (Part(License_Expression="MIT AND AGPL-3.0-only"), False),
        (Part(License_Expression="GPL-2.0-or-later"), False),
        (Part(License="Proprietary"), False),
        (Part(Classifier="License :: OSI Approved :: MIT License"), True),
        (Part(Classifier="License :: Other/Proprietary License"), False),
        (Part(), False),
    ],
)
def test_a_licence_that_was_not_looked_at_is_refused(part, fine):
    assert (licences.forbidden(part) is None) == fine


def test_a_licence_that_was_looked_at_may_not_change():
    part = Part("mutagen", License_Expression="AGPL-3.0-only")
    assert licences.forbidden(part) is not None


def test_the_notices_are_of_what_is_installed():
    assert licences.NOTICES.read_text() == licences.notices(NEEDED)


def test_the_texts_that_the_notices_point_to_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", licences.NOTICES.read_text()):
        assert (ROOT / target).stat().st_size > 0
