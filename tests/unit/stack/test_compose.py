"""The compose file and the image: services are watched, nothing is open, and no secret is in either."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker_context import copies, copy_context, dockerfile, is_sent, read_rules

ROOT = Path(__file__).parents[3]
PLACE = ROOT / "deployments" / "compose"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
TEXT = (PLACE / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.mark.parametrize("name", ["postgres", "server", "worker"])
def test_what_stays_up_has_a_health_check_and_starts_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_what_must_outlive_a_container_is_on_a_volume() -> None:
    assert {service.split(":")[0] for service in SERVICES["postgres"]["volumes"]} >= {"postgres"}
    assert set(COMPOSE["volumes"]) == {"postgres", "server"}
    assert (PLACE / "create-prefect-database.sql").exists()


def test_secrets_come_from_the_environment_and_are_asked_for() -> None:
    for name in ("POSTGRES_PASSWORD", "PREFECT_AUTH", "PREFECT_ENCRYPTION_KEY"):
        uses = re.findall(r"\$\{" + name + r"[^}]*\}", TEXT)
        assert uses
        assert all(":?" in use for use in uses)
    for service in SERVICES.values():
        for key, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|AUTH|KEY", key):
                assert value.startswith("${"), key


def test_only_this_machine_reaches_the_server() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:4200:4200"]


def test_nothing_starts_before_what_it_needs() -> None:
    for service in SERVICES.values():
        for needed, how in (service.get("depends_on") or {}).items():
            assert needed in SERVICES
            assert how["condition"] in {"service_healthy", "service_completed_successfully"}
    assert SERVICES["worker"]["environment"]["DESK_DATABASE_URL"].startswith("postgresql+psycopg://")


def test_the_server_is_ours_with_its_checks_and_asks_for_a_csrf_token() -> None:
    server = SERVICES["server"]
    assert server["command"].startswith(
        "python -m deployments.stack.prefect_server server start --host 0.0.0.0 "
    )
    assert server["environment"]["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert server["environment"]["DESK_ALLOWED_HOSTS"] == "server:4200"
    assert SERVICES["worker"]["environment"]["PREFECT_API_URL"] == "http://server:4200/api"


def test_no_password_has_a_default() -> None:
    assert re.findall(r"\$\{[A-Z_]+:?-[^}]*\}|\$[A-Z_]+", TEXT) == []
    assert "TRUST" not in TEXT.upper().replace("TRUSTED", "")
    sides = (SERVICES["server"]["environment"], SERVICES["worker"]["environment"])
    assert sides[0]["PREFECT_SERVER_API_AUTH_STRING"] == sides[1]["PREFECT_API_AUTH_STRING"]


@pytest.mark.parametrize("name", ["server", "deploy", "worker"])
def test_a_program_can_not_become_more_than_its_user(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert [line for line in dockerfile() if line.startswith("USER ")][-1] == "USER desk"


# --- What the images are made of ----------------------------------------------------------------------------


def test_images_are_named_by_digest_and_there_is_no_default() -> None:
    assert re.fullmatch(r"postgres:\d+@\$\{POSTGRES_DIGEST:\?[^}]+\}", SERVICES["postgres"]["image"])
    arguments = SERVICES["server"]["build"]["args"]
    assert re.fullmatch(r"\$\{PYTHON_DIGEST:\?[^}]+\}", arguments["PYTHON_DIGEST"])
    lines = dockerfile()
    assert "ARG PYTHON_DIGEST" in lines
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(bases) == {"python:3.11-slim@${PYTHON_DIGEST}"}


def test_what_is_installed_into_the_image_is_known_by_its_hash() -> None:
    installs = [line for line in dockerfile() if "pip install" in line]
    assert len(installs) == 2
    assert all(re.search("--require-hashes|--no-index", line) for line in installs)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which somebody keeps secrets and personal data beside the code."""
    place = tmp_path_factory.mktemp("checkout")
    for name in (*_PACKAGES, "docs", "tests/unit"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dockerignore", "README.md", "prefect.yaml", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, place)
    for name in PLANTED:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("POSTGRES_PASSWORD=planted-4711\n", encoding="utf-8")
    (place / "tasks" / "linked.py").symlink_to(place / ".env")
    return place


_PACKAGES = ("deployments", "flows", "models", "tasks")
PLANTED = (
    *(".env", ".env.local", "deployments/compose/.env", "deployments/compose/desk.env", "tasks/.env"),
    *("deployments/.prefect/prefect.db", "models/desk.db", "flows/orders.csv", "deployments/notes.txt"),
    *("id_ed25519", "desk.dump", ".git/config", ".venv/pip.conf", "tasks/__pycache__/x.pyc"),
)


def test_a_file_of_secrets_beside_the_compose_file_is_not_sent_to_the_builder(checkout: Path) -> None:
    rules = read_rules(checkout)
    for name in PLANTED[:5]:
        assert not is_sent(name, rules), name
    assert not is_sent("deployments/compose/compose.yaml", rules)
    assert is_sent("models/migrations/script.py.mako", rules)
    assert is_sent("requirements.lock", rules)


def test_only_code_comes_into_the_image_and_all_of_it(checkout: Path, tmp_path: Path) -> None:
    context, image = tmp_path / "context", tmp_path / "image"
    copy_context(checkout, context)
    built = _run_the_stage_of_code(context, tmp_path, image)
    listed = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    code = {
        str(path.relative_to(ROOT))
        for package in _PACKAGES
        for ending in ("*.py", "*.mako", "openapi.json")
        for path in (ROOT / package).rglob(ending)
    }
    assert listed == code | {"README.md", "prefect.yaml", "pyproject.toml"}
    assert not any(b"planted-4711" in path.read_bytes() for path in built.rglob("*") if path.is_file())


def _run_the_stage_of_code(context: Path, place: Path, image: Path) -> Path:
    """Do what the first stage of the Dockerfile does, in a directory, and return what it makes."""
    stage = place / "stage"
    stage.mkdir()
    copies(context, stage, stage_name="code")
    (command,) = [line.removeprefix("RUN ") for line in dockerfile() if line.startswith("RUN mkdir /code")]
    subprocess.run(["sh", "-euc", command.replace("/code", str(image))], cwd=stage, check=True)
    return image


def test_git_ignores_files_of_secrets(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    secret = (
        ".env",
        "deployments/compose/.env",
        ".env.local",
        "desk.env",
        "desk.db",
        "desk.db-wal",
        "desk.dump",
    )
    code = ("models/tables/", "deployments/stack/environment.py", "deployments/compose/compose.yaml")
    done = subprocess.run(
        ["git", "check-ignore", *secret, *code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == list(secret)


# --- The file of settings -----------------------------------------------------------------------------------


def new_settings(place: Path, digest: str = DIGEST) -> subprocess.CompletedProcess[str]:
    """Run the script with a docker that knows one digest, as a user whose files others can read."""
    tools = place / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "docker").write_text(f"#!/bin/sh\necho {digest}\n", encoding="utf-8")
    (tools / "docker").chmod(0o700)
    return subprocess.run(
        ["sh", "-c", f"umask 022; sh {PLACE / 'new-settings.sh'} {place / 'desk.env'}"],
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_new_settings_are_new_complete_and_for_their_user_alone(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        done = new_settings(tmp_path / name)
        assert done.returncode == 0, done.stderr
        file = tmp_path / name / "desk.env"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        found.append(dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines()))
    asked_for = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    assert set(found[0]) == asked_for
    assert found[0]["PYTHON_DIGEST"] == found[0]["POSTGRES_DIGEST"] == DIGEST
    secrets = [name for name in asked_for if not name.endswith("DIGEST")]
    assert all(found[0][name] != found[1][name] and len(found[0][name]) > 40 for name in secrets)


def test_settings_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "desk.env").symlink_to(tmp_path / "elsewhere")
    assert new_settings(tmp_path).returncode == 2
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "desk.env").unlink()
    (tmp_path / "desk.env").write_text("in use")
    assert "is there already" in new_settings(tmp_path).stderr
    assert (tmp_path / "desk.env").read_text() == "in use"


@pytest.mark.parametrize("digest", ["latest", "sha256:12", "''"])
def test_without_a_digest_there_are_no_settings(tmp_path: Path, digest: str) -> None:
    assert new_settings(tmp_path, digest).returncode == 1
    assert not (tmp_path / "desk.env").exists()
