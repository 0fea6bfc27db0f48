"""`make audit`: what the server consists of, under which licences, and what is known against it.

Looks at the distributions that are installed here and that the server needs (with the extras that
its image has). Writes a bill of materials (CycloneDX, JSON) and asks OSV for advisories.

Exit codes: 0 nothing found; 1 there are advisories; 2 a licence that was not looked at yet, or that
forbids the server's own; 3 the advisories could not be asked for, so nothing is known about them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from deploy.licences import forbidden, licence_of
from deploy.needs import EXTRAS, needed

ROOT = Path(__file__).parents[1]
OSV = "https://api.osv.dev/v1/query"
# Of the whole question about advisories, in seconds.
_PATIENCE_S = 300.0


def bill_of_materials(parts: Mapping[str, Distribution]) -> dict[str, Any]:
    """The CycloneDX document of these distributions, by canonical name, with their licences."""
    command = (sys.executable, "-m", "cyclonedx_py", "environment", "--no-validate")
    made = subprocess.run(
        [*command, "--output-reproducible", "--pyproject", ROOT / "pyproject.toml", sys.executable],
        capture_output=True,
        check=True,
        text=True,
    )
    bill: dict[str, Any] = json.loads(made.stdout)
    bill["components"] = [
        part for part in bill["components"] if canonicalize_name(part["name"]) in parts
    ]
    for part in bill["components"]:
        # In free words it passes over what they say.
        licence = licence_of(parts[canonicalize_name(part["name"])])
        part.setdefault("licenses", [{"expression": licence}] if licence else [])
    known = {part["bom-ref"] for part in bill["components"]}
    known.add(bill["metadata"]["component"]["bom-ref"])
    bill["dependencies"] = [
        entry | {"dependsOn": [ref for ref in entry.get("dependsOn", ()) if ref in known]}
        for entry in bill["dependencies"]
        if entry["ref"] in known
    ]
    return bill


def advisories(parts: Iterable[Distribution], osv: str) -> list[str] | None:
    """What is known against these versions, a line each; None where that could not be asked."""
    pinned = "".join(f"{part.name}=={part.version}\n" for part in parts)
    command = (
        *(sys.executable, "-m", "pip_audit", "--requirement", "/dev/stdin"),
        *("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"),
        *("--vulnerability-service", "osv", "--osv-url", osv),
    )
    try:
        asked = subprocess.run(
            command, input=pinned, capture_output=True, text=True, timeout=_PATIENCE_S
        )
        found = json.loads(asked.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return [
        f"{part['name']} {part['version']}: {known['id']}, mended in "
        f"{', '.join(known['fix_versions']) or 'no version'}"
        for part in found
        for known in part.get("vulns", ())
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write the bill, tell what is wrong, and return the exit code."""
    parser = argparse.ArgumentParser(prog="audit", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sbom.json")
    parser.add_argument("--osv", default=OSV, help="address that answers as OSV's /v1/query")
    asked = parser.parse_args(arguments)
    found = needed("topgenre", EXTRAS)
    own = found.pop("topgenre")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(bill_of_materials(found), indent=1) + "\n")
    print(f"{len(found)} distributions, for {own.name} {own.version}: {asked.out}")
    refused = list(_refused(found.values()))
    print("\n".join(refused) or "licences: none forbids the server's own (MIT)")
    known = advisories(found.values(), asked.osv)
    if known is None:
        print(f"advisories: UNKNOWN, {asked.osv} can't be asked; try again with a network")
    else:
        print("\n".join(known) or "advisories: none")
    return 1 if known else 2 if refused else 3 if known is None else 0


def _refused(parts: Iterable[Distribution]) -> Iterator[str]:
    for part in parts:
        if why := forbidden(part):
            yield f"{part.name} {part.version} ({licence_of(part)}): {why}"


if __name__ == "__main__":
    sys.exit(main())
