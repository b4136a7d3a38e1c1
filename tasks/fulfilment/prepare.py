"""Prepare orders for a fulfiller: apply its maps, then validate."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from tasks.fulfilment.check import problems_of
from tasks.fulfilment.send import Prepare, Prepared
from tasks.rules.maps import Problem, apply_maps
from tasks.rules.maps_store import read_maps


def preparation_for(engine: Engine, fulfiller: str) -> Prepare:
    """Return how orders are made ready for a fulfiller, with its maps as they are now."""
    maps = read_maps(engine, fulfiller)

    def prepare(document: dict[str, Any]) -> Prepared:
        mapped = apply_maps(document, maps)
        problems = [*mapped.problems, *map(Problem.own, problems_of(mapped.document))]
        return Prepared(mapped.document, mapped.notes, problems)

    return prepare
