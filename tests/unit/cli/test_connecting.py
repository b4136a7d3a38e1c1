"""What `desk connect` keeps of the settings before, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.cli.connecting import merged
from models.web_address import PODOS_BASE_URL
from tasks.prefect_api.integrations import IntegrationError

SANDBOX = "http://127.0.0.1:41619"
SAVED = {"project": "sandbox-100001", "api_token": "x", "base_url": SANDBOX}


def test_the_token_of_another_project_never_goes_to_the_sandbox_before() -> None:
    with pytest.raises(
        IntegrationError, match=rf"--base-url {PODOS_BASE_URL}, or --base-url {SANDBOX}"
    ) as caught:
        merged(SAVED, {"project": "acme-441595", "api_token": "secret-4711"})
    assert "secret-4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("saved", "given"),
    [
        (SAVED, {"project": "acme-441595", "base_url": PODOS_BASE_URL}),
        (SAVED, {"project": "sandbox-100002", "base_url": SANDBOX}),
        (SAVED, {"project": "sandbox-100001", "api_token": "y"}),
        (SAVED, {"read_only": True}),
        (SAVED | {"base_url": PODOS_BASE_URL}, {"project": "acme-441595"}),
        ({}, {"project": "acme-441595", "api_token": "x"}),
    ],
)
def test_everything_else_is_merged(saved: dict[str, Any], given: dict[str, Any]) -> None:
    found = merged(saved, given)
    assert {name: found[name] for name in given} == given
