"""Store and read the maps of the fulfillers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine, delete, select

from models.maps import MapForm, Maps
from tasks.desk.engine import reading, writing
from tasks.desk.errors import DeskError
from tasks.desk.tables import MAPS
from tasks.rules.maps_file import maps_of, word_map


class UnusableMapError(DeskError):
    """A map of the desk can't be read: nothing goes to its fulfiller until a person loads it again."""


class StoredMap(NamedTuple):
    """A map of the desk as it is written; ``form`` is None where the row can't be read."""

    fulfiller: str
    kind: str
    form: MapForm | None


def list_maps(engine: Engine) -> list[StoredMap]:
    """Return all maps, by fulfiller."""
    columns = (MAPS.c.fulfiller, MAPS.c.map, MAPS.c.definition)
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).order_by(MAPS.c.fulfiller, MAPS.c.id)).all()
    return [StoredMap(fulfiller, kind, _form(definition)) for fulfiller, kind, definition in rows]


def _form(definition: object) -> MapForm | None:
    try:
        form = MapForm.model_validate(definition)
        word_map(form)
    except ValueError:  # pydantic's is one
        return None
    return form


def read_maps(engine: Engine, fulfiller: str) -> Maps:
    """Return a fulfiller's maps ready for use; case does not count.

    Raises:
        UnusableMapError: one of them can't be read: orders would go out in the wrong words.
    """
    key = fulfiller.strip().casefold()
    mine = [stored for stored in list_maps(engine) if stored.fulfiller.casefold() == key]
    for stored in mine:
        if stored.form is None:
            raise UnusableMapError(
                f"the {stored.kind} map of {stored.fulfiller} can't be read, as another program left it: "
                "load its maps file again (desk maps load FILE)"
            )
    return maps_of(stored.form for stored in mine if stored.form)


def save_maps(engine: Engine, maps: Sequence[MapForm]) -> None:
    """Replace all maps of the named fulfillers; those of others stay. Safe to repeat."""
    keys = {form.fulfiller.casefold() for form in maps}
    with writing(engine) as connection:
        connection.execute(delete(MAPS).where(MAPS.c.fulfiller.in_(keys)))
        for form in maps:
            definition = form.model_dump(mode="json", exclude_defaults=True)
            row = {"fulfiller": form.fulfiller.casefold(), "map": form.map.value, "definition": definition}
            connection.execute(MAPS.insert().values(row))
