"""The settings of an integration: a Prefect Block, which people edit in the Prefect UI."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from prefect.blocks.core import Block
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from models.countries import COUNTRIES, country_code
from models.filters import CountryMode, ImportSettings
from models.production import ProductionSettings, TellProduction
from models.shipments import MAX_COURIER_LENGTH, SyncSettings
from models.web_address import PODOS_BASE_URL, checked_base_url

# From the pinned package, not the machine: the block's form must be the same on every worker.
TIME_ZONES: tuple[str, ...] = tuple(sorted(files("tzdata").joinpath("zones").read_text("utf-8").split()))


class Status(StrEnum):
    """The statuses of a podOS fulfillment, as published (API 1.66.1)."""

    NEW = "new"
    PAID = "paid"
    PROCESSING = "processing"
    PRINTED = "printed"
    CONSOLIDATED = "consolidated"
    COMPLETE = "complete"
    REFUNDED = "refunded"
    PRE_ORDER = "pre_order"
    MODERATION = "moderation"


class WhenAway(StrEnum):
    """What becomes of orders that are to be handed over while podOS can't be asked about them."""

    WAIT = "wait"
    SEND = "send"


def _known_country(code: str) -> str:
    known = country_code(code)
    if known is None:
        raise ValueError(f"country {code!r} is not an ISO 3166-1 alpha-2 code such as GB or US")
    return known


def _known_time_zone(name: str) -> str:
    if name not in TIME_ZONES:
        raise ValueError(f"time zone {name!r} is not known; use an IANA name such as UTC or Europe/London")
    return name


Country = Annotated[str, AfterValidator(_known_country), Field(json_schema_extra={"enum": list(COUNTRIES)})]
TimeZone = Annotated[
    str, AfterValidator(_known_time_zone), Field(json_schema_extra={"enum": list(TIME_ZONES)})
]


class CountryFilter(BaseModel):
    """Which orders come in, by the country they ship to."""

    model_config = ConfigDict(hide_input_in_errors=True)

    mode: CountryMode = Field(
        default=CountryMode.STANDARD,
        title="Mode",
        description="Standard imports only the countries listed; Inverted imports all but those.",
    )
    countries: list[Country] = Field(
        default_factory=list,
        title="Countries",
        description="ISO 3166-1 codes. An empty list is Select All: no order is filtered, in either mode.",
    )


class Integration(Block):
    """One connected podOS project with its settings; several can exist side by side.

    Example:
        Load a saved integration:
        ```python
        from models.blocks import Integration

        integration = Integration.load("default")
        ```
    """

    _block_type_name: ClassVar[str | None] = "podOS Integration"
    _block_type_slug: ClassVar[str | None] = "podos-integration"
    _description: ClassVar[str | None] = (
        "A podOS project whose orders are imported into the order desk. The schedule of the check for new "
        "orders is on the deployment check-for-new-orders."
    )

    model_config = ConfigDict(hide_input_in_errors=True, populate_by_name=True)

    project: str = Field(
        title="Project Name",
        description="The podOS project, for example acme-441595.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
    )
    api_token: SecretStr = Field(title="API Token", description="The podOS API token of this project.")
    authorization: Literal["raw", "bearer"] = Field(
        default="raw",
        title="Authorization",
        description="How podOS wants the token: raw, or after the word Bearer. `desk connect` finds out.",
    )
    base_url: str = Field(
        default=PODOS_BASE_URL,
        title="podOS Address",
        description="Where podOS answers. Https, except on this machine.",
        max_length=500,
    )
    folder: str = Field(
        default="New",
        title="Folder for New Orders",
        description="Where imported orders are placed; made if it does not exist.",
        min_length=1,
        max_length=100,
    )
    statuses: list[Status] = Field(
        default=[Status.PAID],
        title="Order Status Filter",
        description="Only orders with one of these statuses are imported.",
        min_length=1,
    )
    sync_tracking: bool = Field(
        default=True,
        title="Sync Tracking Numbers",
        description="Send tracking back to podOS when orders ship.",
    )
    order_prefix: str = Field(
        default="",
        title="Order Prefix",
        description="Put in front of every order number, for people only.",
        max_length=20,
    )
    country_filter: CountryFilter = Field(
        default_factory=CountryFilter,
        title="Country Filter",
        description="Which orders come in, by the country they ship to.",
    )
    first_import_date: date | None = Field(
        default=None,
        title="First Import Date",
        description="A check imports no order created before this day. Empty: from the beginning.",
    )
    time_zone: TimeZone = Field(
        default="UTC", title="Time Zone", description="The zone in which days of this integration begin."
    )
    couriers: dict[str, str] = Field(
        default_factory=dict,
        title="Courier Names",
        description="Your carrier codes and the names podOS shows for them, such as RM24: Royal Mail. "
        "Upper and lower case are the same.",
    )
    after_shipment_folder: str = Field(
        default="Closed",
        title="After Shipment, Move To",
        description="Where an order goes when podOS has its tracking; made if need be. Empty: it stays.",
        max_length=100,
    )
    canceled_folder: str = Field(
        default="Canceled",
        title="If Canceled, Move To",
        description="Where an order goes that is refunded in podOS before it shipped; made if need be. "
        "Empty: it stays where it is. It is held in any case.",
        max_length=100,
    )
    when_away: WhenAway = Field(
        default=WhenAway.WAIT,
        title="When podOS Is Away",
        description="Just before a handover podOS is asked about the order. wait: while it can't be asked, "
        "nothing is handed over. send: it goes out without that look.",
    )
    tell_production: TellProduction = Field(
        default=TellProduction.OFF,
        title="Tell podOS When Production Begins",
        description="So that the merchant can no longer cancel what is on the press. off: never. handover: "
        "when the desk begins to hand an order over. accepted: when the fulfiller has taken it.",
    )
    read_only: bool = Field(
        default=False,
        title="Read-Only Mode",
        description="Import everything and write nothing to podOS; the sync says what it would send.",
    )
    connections: int = Field(
        default=8,
        title="Connections",
        description="How many requests to podOS may be under way at once.",
        ge=1,
        le=64,
    )
    requests_per_second: float = Field(
        default=0.0,
        title="Requests per Second",
        description="The most requests to podOS per second, of all processes together; 0 is no limit.",
        ge=0.0,
        le=1000.0,
    )

    @field_validator("api_token")
    @classmethod
    def _token_is_usable(cls, token: SecretStr) -> SecretStr:
        value = token.get_secret_value().strip()
        if not value:
            raise ValueError("the API token is empty")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("the API token has a space or a character that no token has; copy it again")
        return SecretStr(value)

    @field_validator("base_url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_base_url(value)

    @field_validator("folder", "order_prefix", "after_shipment_folder", "canceled_folder")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("only printable characters on one line are allowed")
        return value.strip()

    @field_validator("couriers")
    @classmethod
    def _couriers_are_named(cls, couriers: dict[str, str]) -> dict[str, str]:
        for text in (*couriers, *couriers.values()):
            if not text.strip() or not text.isprintable() or len(text) > MAX_COURIER_LENGTH:
                raise ValueError("each carrier code and courier name needs 1 to 100 printable characters")
        return {code.strip(): shown.strip() for code, shown in couriers.items()}

    @field_validator("folder")
    @classmethod
    def _folder_is_named(cls, value: str) -> str:
        if not value:
            raise ValueError("the folder has no name")
        return value

    @field_validator("first_import_date")
    @classmethod
    def _date_has_come(cls, value: date | None) -> date | None:
        # The latest calendar day on earth: the integration's own zone is checked when it is connected.
        if value is not None and value > datetime.now(ZoneInfo("Pacific/Kiritimati")).date():
            raise ValueError(f"First Import Date {value} is in the future; give today or an earlier day")
        return value

    def import_settings(self, name: str) -> ImportSettings:
        """Return the settings without the secret, under the integration's name."""
        return ImportSettings(
            integration=name,
            project=self.project,
            base_url=self.base_url,
            folder=self.folder,
            statuses=tuple(status.value for status in self.statuses),
            order_prefix=self.order_prefix,
            country_mode=self.country_filter.mode,
            countries=tuple(self.country_filter.countries),
            first_import_date=self.first_import_date,
            time_zone=self.time_zone,
            sync_tracking=self.sync_tracking,
            canceled_folder=self.canceled_folder,
            shipped_folder=self.after_shipment_folder,
        )

    def sync_settings(self, name: str) -> SyncSettings:
        """Return what the tracking sync needs, without the secret, under the integration's name."""
        return SyncSettings(
            integration=name,
            project=self.project,
            is_on=self.sync_tracking,
            read_only=self.read_only,
            couriers={code.casefold(): shown for code, shown in self.couriers.items()},
            move_to=self.after_shipment_folder,
            connections=self.connections,
        )

    def production_settings(self, name: str) -> ProductionSettings:
        """Return what telling of production needs, without the secret, under the integration's name."""
        is_on = self.tell_production is not TellProduction.OFF
        return ProductionSettings(name, self.project, is_on=is_on, read_only=self.read_only)


def today(time_zone: str, now: datetime | None = None) -> date:
    """Return the calendar day in a time zone; ``now`` is aware and defaults to the clock."""
    return (now or datetime.now(UTC)).astimezone(ZoneInfo(time_zone)).date()


OWN_FIELDS = frozenset(Integration.model_fields) - frozenset(Block.model_fields)
