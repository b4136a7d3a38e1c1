"""The shape of a maps file, and the maps of one fulfiller as they are used. The schema is published."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.rules import Line, Name


class MapKind(StrEnum):
    """Whose words are replaced."""

    PRINT_LOCATION = "print location"
    PRINT_SKU = "print sku"
    SHIPPING_METHOD = "shipping method"
    CARRIER = "carrier"


class Missing(StrEnum):
    """What becomes of a word that has no line, where there is no default."""

    PASS = "pass"  # noqa: S105
    STOP = "stop"


class MapForm(BaseModel):
    """One map as it is written."""

    model_config = ConfigDict(extra="forbid")

    fulfiller: Name = Field(description="Whose map it is.")
    map: MapKind = Field(description="Whose words it replaces.")
    lines: list[Line] = Field(default_factory=list, description="Lines `from = to`; case does not count.")
    default: Line | None = Field(None, description="What a word without a line becomes.")
    missing: Missing = Field(
        Missing.PASS, description="Without line and default: `pass` as it is, or `stop` the order."
    )
    skip: list[Line] = Field(
        default_factory=list, description="SKUs whose items are not sent; only for `print sku`."
    )

    @model_validator(mode="after")
    def _skips_skus_only(self) -> Self:
        if self.skip and self.map is not MapKind.PRINT_SKU:
            raise ValueError("only a `print sku` map has a skip list")
        return self


class MapsFile(BaseModel):
    """A maps file: all the maps of the fulfillers that it names."""

    model_config = ConfigDict(extra="forbid")

    maps: list[MapForm] = Field(description="One entry for each fulfiller and kind of map.")


@dataclass(frozen=True)
class WordMap:
    """One map in use; the keys of ``lines`` and ``skip`` are case-blind (``str.casefold``)."""

    lines: dict[str, str] = field(default_factory=dict)
    default: str | None = None
    missing: Missing = Missing.PASS
    skip: frozenset[str] = frozenset()

    def find(self, word: str) -> str | None:
        """Return what a word becomes; None where the map has nothing for it."""
        return self.lines.get(word.strip().casefold(), self.default)


Maps = dict[MapKind, WordMap]
"""The maps of one fulfiller; a kind that is absent changes nothing."""


def maps_schema() -> dict[str, Any]:
    """Return the JSON Schema of a maps file."""
    schema = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": schema, **MapsFile.model_json_schema()}
