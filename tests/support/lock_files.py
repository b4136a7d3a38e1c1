"""Write the lock files: every package with its version and the hashes of its files, and no index address.

``make lock`` runs it with ``--upgrade``; without that option versions stay as they are, which adds a new
dependency and changes nothing else. Needs uv.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
COMPILE = (
    *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "pyproject.toml"),
    *("--generate-hashes", "--no-strip-extras", "--no-header", "--no-annotate", "--no-emit-index-url"),
)
_PIN = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
_WITH_EXTRAS = re.compile(r"^([\w.-]+)\[[^\]]+\]")


def main(options: list[str]) -> None:
    """Compile both lock files; options are passed on to uv."""
    for lock, extras in (
        (LOCK, ("--extra", "build")),
        (DEV_LOCK, ("--extra", "build", "--extra", "dev", "--constraint", LOCK.name)),
    ):
        subprocess.run([*COMPILE, *extras, "--output-file", lock.name, *options], cwd=ROOT, check=True)
        lock.write_text(with_plain_pins(lock.read_text("utf-8")), encoding="utf-8")


def pins(text: str) -> list[str]:
    """Return the parts of a lock file, each a requirement followed by its hashes."""
    return [part for part in _PIN.split(text) if part.strip()]


def with_plain_pins(text: str) -> str:
    """Return a lock file in which a requirement with extras also stands without them.

    Before pip 24.0, a dependency on ``sqlalchemy`` does not find the pin and hashes of
    ``sqlalchemy[asyncio]``, and the installation is refused.
    """
    found: dict[str, None] = {}
    for pin in pins(text):
        found[_WITH_EXTRAS.sub(r"\1", pin)] = None
        found[pin] = None
    return "".join(found)


if __name__ == "__main__":
    main(sys.argv[1:])
