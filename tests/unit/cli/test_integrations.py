"""What `desk settings` shows a person."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from deployments.cli.connecting import shown
from deployments.cli.integrations import _show
from models.blocks import CountryFilter, Integration


@pytest.mark.parametrize(
    ("countries", "expected"), [(["GB", "DE"], "GB (United Kingdom), DE (Germany)"), ([], "Select All")]
)
def test_countries_have_their_names(
    capsys: pytest.CaptureFixture[str], countries: list[str], expected: str
) -> None:
    integration = Integration(
        project="acme", api_token=SecretStr("t"), country_filter=CountryFilter(countries=countries)
    )
    _show(shown("default", integration))
    assert f"Standard: {expected}" in " ".join(capsys.readouterr().out.split())
