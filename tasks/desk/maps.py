"""The fulfillers' maps: kept and read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, Table, delete, select

from models.maps import MapForm, Maps
from models.rule_tables import FulfillerMap
from tasks.desk.engine import reading, writing
from tasks.rules.map_files import maps_of

MAPS: Table = FulfillerMap.__table__  # type: ignore[attr-defined]


def list_maps(engine: Engine) -> list[MapForm]:
    """Return all maps as they are written, by fulfiller."""
    with reading(engine) as connection:
        query = select(MAPS.c.definition).order_by(MAPS.c.fulfiller, MAPS.c.id)
        return [MapForm.model_validate(one) for one in connection.execute(query).scalars()]


def read_maps(engine: Engine, fulfiller: str) -> Maps:
    """Return a fulfiller's maps ready for use; case does not count."""
    key = fulfiller.strip().casefold()
    return maps_of(form for form in list_maps(engine) if form.fulfiller.casefold() == key)


def save_maps(engine: Engine, maps: Sequence[MapForm]) -> None:
    """Let these be all the maps of the fulfillers that they name; other fulfillers' stay. Safe to repeat."""
    keys = {form.fulfiller.casefold() for form in maps}
    with writing(engine) as connection:
        connection.execute(delete(MAPS).where(MAPS.c.fulfiller.in_(keys)))
        for form in maps:
            definition = form.model_dump(mode="json", exclude_defaults=True)
            row = {"fulfiller": form.fulfiller.casefold(), "map": form.map.value, "definition": definition}
            connection.execute(MAPS.insert().values(row))
