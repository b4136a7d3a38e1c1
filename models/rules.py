"""The shape of a rules file, and the fields of an order that conditions can name. The schema is published."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)


class RuleEvent(StrEnum):
    """What happens to an order that rules can react to."""

    IMPORTED = "order imported"
    FOLDER_CHANGED = "folder changed"
    SHIPMENT_ADDED = "shipment added"


class Kind(StrEnum):
    """What a field holds: it decides how values compare."""

    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"
    LIST = "list"


_TEXT, _NUMBER, _MOMENT, _LIST = Kind.TEXT, Kind.NUMBER, Kind.MOMENT, Kind.LIST

ORDER_FIELDS: dict[str, Kind] = {
    "id": _NUMBER,
    **dict.fromkeys(("integration", "project", "source_id", "order_number", "folder", "podos_status"), _TEXT),
    **dict.fromkeys(("created_at", "imported_at"), _MOMENT),
    **dict.fromkeys(("email", "phone"), _TEXT),
    **{
        f"shipping.{part}": _TEXT
        for part in ("name", "company", "address1", "address2", "city", "postal_code", "country", "state")
    },
    **dict.fromkeys(("shipping_method.code", "shipping_method.name", "priority"), _TEXT),
    "declared_value": _NUMBER,
    "currency": _TEXT,
    "package_weight_g": _NUMBER,
    **dict.fromkeys(("fulfiller_reference", "merchant_reference", "deadline"), _TEXT),
    "service_level_hours": _NUMBER,
    "source_platform": _TEXT,
    **dict.fromkeys(("packing_notes", "additional_files"), _LIST),
    "hold_reason": _TEXT,
}
"""By path in the exported order; besides them ``metadata.KEY``."""

ITEM_FIELDS: dict[str, Kind] = {
    **dict.fromkeys(("sku", "name"), _TEXT),
    "quantity": _NUMBER,
    **dict.fromkeys(("variant_ref", "notes"), _TEXT),
}
"""By path in an exported item; besides them ``metadata.KEY``."""

METADATA = "metadata."


def _as_text(value: Any) -> Any:
    """Take what YAML or JSON reads as a number or a switch as the text that a person wrote."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only printable characters on one line are possible")
    return text


def _not_prefects(name: str) -> str:
    if name.startswith("prefect."):
        raise ValueError("names that begin with prefect. are Prefect's own")
    return name


def _method(value: Any) -> Any:
    return {"code": value, "name": value} if isinstance(value, str) else value


Line = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(_printable),
]
Name = Annotated[Line, StringConstraints(max_length=100)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Value = Annotated[Line, WithJsonSchema({"type": ["string", "number", "boolean"]})]
EventName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$"), AfterValidator(_not_prefects)
]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ShippingMethod(_Form):
    """A shipping method; a text alone is both."""

    code: Line | None = None
    name: Line


class Action(_Form):
    """One thing that a rule does."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    move_to: Name | None = Field(None, description="Move the order to this folder, which must exist.")
    hold: Line | None = Field(None, description="Hold the order for this reason; it is not sent anywhere.")
    set_metadata: dict[Key, Value] | None = Field(None, description="Set metadata of the order.")
    set_item_metadata: dict[Key, Value] | None = Field(
        None,
        description="Set metadata of the items that fulfil the rule's `any item.` conditions; "
        "of all items where it has none.",
    )
    set_shipping_method: (
        Annotated[ShippingMethod, BeforeValidator(_method, json_schema_input_type=str | ShippingMethod)]
        | None
    ) = Field(None, description="Set the shipping method.")
    send_to: Name | None = Field(None, description="Queue the order for this fulfiller.")
    emit_event: EventName | None = Field(None, description="Emit a Prefect event of this name.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("an action is exactly one thing; begin the next one with a dash")
        (value,) = (getattr(self, name) for name in self.model_fields_set)
        if not value:
            raise ValueError("this action has no value")
        return self


class RuleForm(_Form):
    """One rule as it is written."""

    name: Name = Field(description="Unique; shown in the history of every order that it fired on.")
    event: RuleEvent = Field(description="When it is looked at.")
    enabled: bool | None = Field(None, description="Off if false. Not given: as it was, and on if it is new.")
    all: list[Line] | None = Field(None, min_length=1, description="Conditions that must all hold.")
    any: list[Line] | None = Field(None, min_length=1, description="Conditions of which one must hold.")
    actions: list[Action] = Field(min_length=1, description="What it does, in this order.")

    @model_validator(mode="after")
    def _is_joined_one_way(self) -> Self:
        if self.all and self.any:
            raise ValueError("conditions are joined by `all` or by `any`, not by both")
        return self


class RulesFile(_Form):
    """A rules file: all the rules of a desk, in the order in which they are looked at."""

    rules: list[RuleForm] = Field(max_length=1000, description="All rules of the desk.")


def rules_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rules file."""
    schema = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": schema, **RulesFile.model_json_schema()}
