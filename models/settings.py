"""Settings of the environment, read here and nowhere else. Those of integrations: ``models.blocks``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.places import data_place
from models.shipments import ShipmentReading, shipment_columns
from models.watching import Thresholds
from models.web_address import checked_authorities


def _hosts(text: str) -> str:
    checked_authorities(text)
    return text


def _columns(text: str) -> str:
    shipment_columns(text)
    return text


def _date_format(text: str) -> str:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    try:
        read = datetime.strptime(moment.strftime(text), text).date() if text else moment.date()  # noqa: DTZ007
    except ValueError:
        read = None
    if read != moment.date():
        raise ValueError("it has to name day, month and year, such as %d/%m/%Y")
    return text


class Environment(BaseSettings):
    """What the environment says; every name is in docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix="", hide_input_in_errors=True)

    desk_database_url: str = ""
    podos_api_token: SecretStr | None = None
    fulfiller_secret: SecretStr | None = None
    prefect_api_url: str = ""
    desk_allowed_hosts: Annotated[str, AfterValidator(_hosts)] = ""
    desk_drop_folder: str = ""
    desk_shipment_columns: Annotated[str, AfterValidator(_columns)] = ""
    desk_date_format: Annotated[str, AfterValidator(_date_format)] = ""
    desk_alert_webhook: SecretStr | None = None
    desk_late_after_minutes: float | None = Field(default=None, gt=0)
    desk_look_back_every_minutes: float = Field(default=60, ge=0)
    desk_attention_over: int = Field(default=20, ge=0)
    desk_failed_over: int = Field(default=0, ge=0)

    def shipment_reading(self) -> ShipmentReading:
        """Return how files of shipments are read."""
        return ShipmentReading(shipment_columns(self.desk_shipment_columns), self.desk_date_format)

    def thresholds(self) -> Thresholds:
        """Return from when on something is not well."""
        minutes = self.desk_late_after_minutes
        return Thresholds(
            late_after=timedelta(minutes=minutes) if minutes else None,
            attention_over=self.desk_attention_over,
            failed_over=self.desk_failed_over,
        )

    def allowed_hosts(self) -> frozenset[str]:
        """Return the names, besides its own, under which a reverse proxy serves the Prefect server."""
        return checked_authorities(self.desk_allowed_hosts)

    def database_url(self) -> str:
        """Return the desk's SQLAlchemy URL: DESK_DATABASE_URL, else a file in the user's data directory."""
        if self.desk_database_url:
            return self.desk_database_url
        return f"sqlite:///{data_place() / 'desk.db'}"
