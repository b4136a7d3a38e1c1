"""Fulfillers: who prints the orders. A Prefect Block for each kind; the name is the block's."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from models.handovers import SendSettings
from models.web_address import checked_base_url

MIN_SECRET_LENGTH = 16
REFUSAL_FIELDS = "success, ok, error, errors, status"
ORDER_DESK = "https://app.orderdesk.me/api/v2"


class FolderFormat(StrEnum):
    """What is written into the directory."""

    JSON = "json"
    CSV = "csv"


class Fulfiller(Block):
    """What every kind of fulfiller has."""

    kind: ClassVar[str] = ""

    model_config = ConfigDict(hide_input_in_errors=True, populate_by_name=True)

    after_import_folder: str = Field(
        default="Prepared",
        title="After Import, Move To",
        description="Where an order goes when it was handed over; made if need be. Empty: it stays.",
        max_length=100,
    )
    read_only: bool = Field(
        default=False,
        title="Read-Only Mode",
        description="Nothing is handed over; a run says what it would send.",
    )

    @field_validator("after_import_folder")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("only printable characters on one line are allowed")
        return value.strip()

    def send_settings(self, name: str) -> SendSettings:
        """Return what the sending needs of every kind, without a secret."""
        return SendSettings(
            fulfiller=name,
            kind=self.kind,
            read_only=self.read_only,
            move_to=self.after_import_folder,
            connections=getattr(self, "connections", 1),
        )


class WebhookFulfiller(Fulfiller):
    """A printer whose own address takes orders as signed JSON."""

    _block_type_name: ClassVar[str | None] = "Fulfiller: Webhook"
    _block_type_slug: ClassVar[str | None] = "fulfiller-webhook"
    _description: ClassVar[str | None] = "Posts each order as signed JSON to an address of the printer."
    kind: ClassVar[str] = "webhook"

    address: str = Field(
        title="Address",
        description="Where orders are posted. Https, except on this machine.",
        max_length=2000,
    )
    secret: SecretStr = Field(
        title="Secret",
        description="Shared with the printer; signs every post with HMAC-SHA256. 16 characters or more.",
    )
    previous_secret: SecretStr | None = Field(
        default=None,
        title="Previous Secret",
        description="While the secret is replaced: the one before, which signs as well. Else empty.",
    )
    timeout_seconds: float = Field(
        default=30.0,
        title="Timeout in Seconds",
        description="How long all of an answer is waited for; then the order waits and is posted again.",
        ge=0.1,
        le=300.0,
    )
    connections: int = Field(
        default=8, title="Connections", description="How many posts may be under way at once.", ge=1, le=64
    )
    requests_per_second: float = Field(
        default=0.0,
        title="Requests per Second",
        description="The most posts per second, of all processes together; 0 is no limit.",
        ge=0.0,
        le=1000.0,
    )

    refusal_fields: str = Field(
        default=REFUSAL_FIELDS,
        title="Fields That Say No",
        description=(
            "Fields of an answer's JSON, between commas: where one says no, an order is not handed over, "
            "though the answer is 200. Empty: the HTTP status alone counts."
        ),
        max_length=500,
    )

    @field_validator("refusal_fields")
    @classmethod
    def _fields_are_names(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",") if name.strip()]
        if not all(name.isprintable() for name in names):
            raise ValueError("write names of fields between commas, such as success, error")
        return ", ".join(names)

    @field_validator("address")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        checked_base_url(value, "Address", "https://printer.example.test/orders")
        return value.strip()  # a slash at its end may matter there

    @field_validator("secret")
    @classmethod
    def _secret_is_long(cls, secret: SecretStr) -> SecretStr:
        return _long_secret(secret)

    @field_validator("previous_secret")
    @classmethod
    def _previous_secret_is_another(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None or not secret.get_secret_value().strip():
            return None
        previous = _long_secret(secret)
        if previous == info.data.get("secret"):
            raise ValueError("the previous secret is the same as the secret: leave it empty")
        return previous


def _long_secret(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value().strip()
    if len(value) < MIN_SECRET_LENGTH:
        raise ValueError(f"the secret is shorter than {MIN_SECRET_LENGTH} characters")
    return SecretStr(value)


class FolderFulfiller(Fulfiller):
    """A printer that takes files from a directory."""

    _block_type_name: ClassVar[str | None] = "Fulfiller: Folder"
    _block_type_slug: ClassVar[str | None] = "fulfiller-folder"
    _description: ClassVar[str | None] = "Writes orders as files into a directory, never half of one."
    kind: ClassVar[str] = "folder"

    directory: str = Field(
        title="Directory",
        description="Where the files are put, on the machine of the worker. It must exist.",
        min_length=1,
        max_length=1000,
    )
    format: FolderFormat = Field(
        default=FolderFormat.JSON,
        title="Format",
        description="json: a file for each order. csv: a file for each batch, a line for each print job.",
    )

    @field_validator("directory")
    @classmethod
    def _directory_is_whole(cls, value: str) -> str:
        if not value.startswith("/") or not value.isprintable():
            raise ValueError("write the whole path of the directory, from /")
        return value


class OrderDeskFulfiller(Fulfiller):
    """A store of Order Desk."""

    _block_type_name: ClassVar[str | None] = "Fulfiller: Order Desk"
    _block_type_slug: ClassVar[str | None] = "fulfiller-order-desk"
    _description: ClassVar[str | None] = (
        "Creates each order in an Order Desk store and brings its shipments back."
    )
    kind: ClassVar[str] = "orderdesk"

    store_id: str = Field(
        title="Store Id", description="Order Desk's number of the store.", pattern=r"^[0-9]+$"
    )
    api_key: SecretStr = Field(title="API Key", description="The store's API key; see its settings.")
    folder_name: str = Field(
        default="New",
        title="Folder Name",
        description="The store's folder that the orders go to; it must exist there.",
        min_length=1,
        max_length=100,
    )
    address: str = Field(
        default=ORDER_DESK,
        title="Order Desk Address",
        description="Where Order Desk answers. Https, except on this machine.",
        max_length=500,
    )

    @field_validator("address")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        return checked_base_url(value, "Order Desk Address", ORDER_DESK)

    @field_validator("api_key")
    @classmethod
    def _key_is_usable(cls, key: SecretStr) -> SecretStr:
        value = key.get_secret_value().strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("the API key is empty or has a character that no key has; copy it again")
        return SecretStr(value)


KINDS: dict[str, type[Fulfiller]] = {
    block_class.kind: block_class for block_class in (WebhookFulfiller, FolderFulfiller, OrderDeskFulfiller)
}


def own_fields(kind: type[Fulfiller]) -> frozenset[str]:
    """Return the names of a kind's settings."""
    return frozenset(kind.model_fields) - frozenset(Block.model_fields)
