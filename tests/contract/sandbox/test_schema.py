"""The sandbox's answers against the published shapes, and exactly where they differ on purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from deployments.sandbox import quirks
from deployments.sandbox.server import Sandbox, SandboxSettings

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
SCHEMA = json.loads((Path(__file__).parent / "fulfillments.schema.json").read_text(encoding="utf-8"))


def validator(shape: str) -> Draft7Validator:
    return Draft7Validator({"$ref": f"#/definitions/{shape}", "definitions": SCHEMA["definitions"]})


def answer_of(settings: SandboxSettings, path: str = "", body: dict[str, Any] | None = None) -> Any:
    with Sandbox(settings) as sandbox:
        if path:
            path = f"/{sandbox.store.keys()[0]}"
        answer = httpx.request(
            "PATCH" if body else "GET",
            f"{sandbox.url}/v1/fulfillments{path}",
            params={"project": sandbox.project, "pageSize": 1000},
            headers=sandbox.headers,
            json=body,
        )
    return answer.json()


def leaves(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for inner in error.context or ():
        if inner.absolute_path != error.absolute_path:
            yield from leaves(inner)


def named(error: ValidationError) -> str:
    return ".".join(str(step) for step in list(error.absolute_path)[2:] if not isinstance(step, int))


def test_answers_keep_to_the_schema() -> None:
    settings = SandboxSettings(orders=300, now=NOW, nulls=False, unknown_values=False)
    page = answer_of(settings)
    assert len(page["fulfillments"]) == 300
    assert [error.message for error in validator("FulfillmentsResponse").iter_errors(page)] == []


def test_single_answers_keep_to_the_schema() -> None:
    settings = SandboxSettings(orders=1, now=NOW, nulls=False, unknown_values=False)
    validator("Fulfillment").validate(answer_of(settings, "one"))
    body = {"status": "processing", "tracking": {"courier": "Example Mail", "code": "1"}}
    validator("UpdateFulfillmentRequest").validate(body)
    validator("Fulfillment").validate(answer_of(settings, "one", body))


def test_errors_keep_to_the_schema() -> None:
    with Sandbox(SandboxSettings(orders=1)) as sandbox:
        validator("ApiError").validate(httpx.get(f"{sandbox.url}/v1/fulfillments").json())


def test_null_stands_exactly_where_the_quirks_say() -> None:
    page = answer_of(SandboxSettings(orders=1000, now=NOW, seed=2, unknown_values=False))
    errors = [leaf for error in validator("FulfillmentsResponse").iter_errors(page) for leaf in leaves(error)]
    assert {error.instance for error in errors} == {None}
    assert {named(error) for error in errors} == set(quirks.NULL_FIELDS)


def test_unknown_values_stand_only_in_placement_and_technology() -> None:
    page = answer_of(SandboxSettings(orders=700, now=NOW, nulls=False))
    errors = list(validator("FulfillmentsResponse").iter_errors(page))
    assert {named(error) for error in errors} == {
        "items.applications.placement",
        "items.applications.technology",
    }
    assert {error.instance for error in errors} == {*quirks.UNKNOWN_PLACEMENTS, quirks.UNKNOWN_TECHNOLOGY}


@pytest.mark.parametrize("broken", [1, 4])
def test_broken_orders_do_not_keep_to_the_schema(broken: int) -> None:
    page = answer_of(SandboxSettings(orders=40, now=NOW, broken=broken, nulls=False, unknown_values=False))
    bad = [
        row for row in page["fulfillments"] if "id" not in row or not validator("Fulfillment").is_valid(row)
    ]
    assert len(bad) == broken


def shape_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a shape of the sandbox's OpenAPI document as the published schema writes it."""
    shapes = document["components"]["schemas"]
    shape = dict(shapes[name])
    if name == "Fulfillment":
        fields, needed = shape["allOf"]
        shape = shapes[fields["$ref"].rpartition("/")[2]] | needed
    text = json.dumps(shape).replace("#/components/schemas/", "#/definitions/")
    return json.loads(text.replace("FulfillmentFields", "Fulfillment"))  # type: ignore[no-any-return]


def test_the_openapi_document_is_the_published_schema_but_for_the_quirks() -> None:
    with Sandbox(SandboxSettings(orders=1)) as sandbox:
        document = httpx.get(f"{sandbox.url}/openapi.json").json()
    own = {"FulfillmentFields", "Change", "NewTracking"}
    names = document["components"]["schemas"].keys() - own
    assert {"Fulfillment", "FulfillmentsResponse", "ApiError", "Tracking"} <= names
    differing = set()
    for name in names:
        ours, published = shape_of(document, name), SCHEMA["definitions"][name]
        if name in {"ApplicationPlacementEnum", "ApplicationTechnologyEnum"}:
            assert ours == {"type": "string"}
            continue
        for field, kind in ours.get("properties", {}).items():
            if kind != published["properties"][field]:
                assert kind == {"type": ["string", "null"]}
                assert published["properties"][field] == {"type": "string"}
                differing.add(field)
        assert ours | {"properties": None} == published | {"properties": None}
        assert ours.get("properties", {}).keys() == published.get("properties", {}).keys()
    assert differing == {path.rpartition(".")[2] for path in quirks.NULL_FIELDS}
