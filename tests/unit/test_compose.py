"""The compose file: it parses, its services are watched, and no secret is written in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PLACE = Path(__file__).parents[2] / "deployments" / "compose"
TEXT = (PLACE / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.mark.parametrize("name", ["postgres", "server", "worker"])
def test_what_stays_up_has_a_health_check_and_starts_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_what_must_outlive_a_container_is_on_a_volume() -> None:
    assert {one.split(":")[0] for one in SERVICES["postgres"]["volumes"]} >= {"postgres"}
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


def test_the_image_holds_every_package_of_the_program() -> None:
    dockerfile = (PLACE / "Dockerfile").read_text("utf-8")
    for package in ("models", "tasks", "flows", "deployments", "prefect.yaml", "requirements.lock"):
        assert re.search(rf"^COPY .*\b{re.escape(package)}\b", dockerfile, re.M), package
