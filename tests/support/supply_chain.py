"""What the lock files bring in: no package that is known to be vulnerable, and only licences that fit.

A feed that can't be reached warns: it says nothing about the packages. A known vulnerability fails, and so
does a licence that is not on the list. ``make audit`` runs it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from tests.support.lock_files import DEV_LOCK, LOCK, pins

LOCKS = (LOCK, DEV_LOCK)
FEED_SECONDS = 120
ANSWER_SECONDS = 15

IGNORED: Mapping[str, str] = {}
"""Vulnerabilities that do not concern us: the id, then why, and the day that was decided."""

ALLOWED = frozenset(
    {
        *("0BSD", "BSD", "BSD License", "BSD 2-Clause License", "BSD-2-Clause", "BSD-3-Clause"),
        *("MIT", "MIT License", "MIT-0", "ISC", "ISC License (ISCL)", "Zlib", "CC0-1.0", "Unlicense"),
        *("Apache-2.0", "Apache 2.0", "Apache Software License"),
        *("PSF-2.0", "Python Software Foundation License", "CNRI-Python"),
        # Copyleft for changes of their own files: we change none.
        *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "LGPL-2.1-only", "LGPL-3.0-only"),
    }
)
CHOSEN: Mapping[str, str] = {
    "text-unidecode": "Artistic License",  # or the GPL, as one likes
}
"""Packages that let one choose between licences, and the one that is taken."""


class Findings(NamedTuple):
    """What is wrong, and what could not be looked at."""

    problems: list[str]
    warnings: list[str]


def main() -> int:
    """Look, tell, and return the exit code."""
    licences = sorted(licences_of(LOCKS))
    for name, version, licence in licences:
        print(f"{name} {version}: {licence}")
    found = assess(audit())
    for warning in found.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    problems = [*found.problems, *unfit(licences)]
    for problem in problems:
        print(f"ERROR: {problem}", file=sys.stderr)
    print(f"{len(licences)} packages: {len(problems)} problems, {len(found.warnings)} warnings")
    return 1 if problems else 0


# --- vulnerabilities ----------------------------------------------------------------------------------------


def audit(environment: Mapping[str, str] | None = None) -> dict[str, Any] | str:
    """Return what pip-audit says about every pin, or why it could say nothing."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    command += ["--disable-pip", "--no-deps", "--timeout", str(ANSWER_SECONDS)]
    for lock in LOCKS:
        command += ["--requirement", str(lock)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FEED_SECONDS, env=environment, check=False
        )
        said: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return f"no answer within {FEED_SECONDS} seconds"
    except json.JSONDecodeError:
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
    return said


def assess(said: dict[str, Any] | str) -> Findings:
    """Tell known vulnerabilities from what is not known."""
    if isinstance(said, str):
        return Findings([], [f"the feed of vulnerabilities could not be used, nothing was looked up: {said}"])
    problems = [
        f"{wheel['name']} {wheel['version']}: {problem['id']}, mended in {problem['fix_versions'] or 'none'}"
        for wheel in said["dependencies"]
        for problem in wheel.get("vulns", ())
        if not IGNORED.keys() & {problem["id"], *problem.get("aliases", ())}
    ]
    unknown = [package["name"] for package in said["dependencies"] if "skip_reason" in package]
    warnings = (
        [f"the feed does not know {len(unknown)} packages: {', '.join(unknown[:5])} ..."] if unknown else []
    )
    return Findings(problems, warnings)


# --- licences -----------------------------------------------------------------------------------------------


def requirements_of(locks: Iterable[Path]) -> set[Requirement]:
    """Return what lock files pin, once each and without extras and hashes."""
    found = {
        Requirement(pin.partition("--hash")[0].rstrip("\\ \n"))
        for lock in locks
        for pin in pins(lock.read_text("utf-8"))
    }
    return {requirement for requirement in found if not requirement.extras}


def licences_of(locks: tuple[Path, ...]) -> Iterator[tuple[str, str, str]]:
    """Give name, version and licence of every package that the lock files bring to this machine."""
    for requirement in sorted(requirements_of(locks), key=str):
        if requirement.marker is None or requirement.marker.evaluate():
            try:
                package = distribution(requirement.name)
            except PackageNotFoundError:
                yield requirement.name, "-", "not installed"
                continue
            yield requirement.name, package.version, licence_of(package)


def licence_of(package: Distribution) -> str:
    """Return the licence that a package declares: by expression, classifiers or in words."""
    about = package.metadata
    if "License-Expression" in about:
        return about["License-Expression"]
    named = [
        classifier.rpartition(" :: ")[2]
        for classifier in about.get_all("Classifier", [])
        if classifier.startswith("License ::")
    ]
    if named := [license_ for license_ in named if license_ not in {"OSI Approved", "DFSG approved"}]:
        return " OR ".join(named)
    words = about["License"] if "License" in about else ""  # noqa: SIM401 - the type has no get
    return (words.strip() or "unknown").splitlines()[0]


def unfit(licences: list[tuple[str, str, str]]) -> list[str]:
    """Return a sentence for every package whose licence is not allowed; each that it names must be."""
    return [
        f"{name} {version} has the licence {licence!r}: allow it in {Path(__file__).name}, or do without"
        for name, version, licence in licences
        if not (licence in ALLOWED or set(re.split(r"[()]| AND | OR ", licence)) - {""} <= ALLOWED)
        and CHOSEN.get(name) not in licence.split(" OR ")
    ]


if __name__ == "__main__":
    sys.exit(main())
