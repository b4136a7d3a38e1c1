"""openapi.json, made of the endpoints and their forms, so that it can't say anything else than they do."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deployments.web.api.answers import ErrorAnswer
from deployments.web.api.endpoints import ENDPOINTS, KEY_HEADER, PREFIX, Endpoint
from deployments.web.api.forms import MAX_KEY_LENGTH

_REFERENCE = "#/components/schemas/{model}"
_EVERYWHERE = {
    401: "No token, or one that opens nothing.",
    422: "Something of the request is wrong: `field` says what.",
    500: "That did not work.",
    503: "The desk's database is busy or away: try again.",
}
_REFUSALS = {
    403: "The token may only read.",
    404: "There is none.",
    409: "Several orders are meant, or the Idempotency-Key was used for another request.",
    413: "The body is too large.",
    415: "The body is no JSON.",
}


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    models: list[type[BaseModel]] = [ErrorAnswer, *(endpoint.answers for endpoint in ENDPOINTS)]
    models += [endpoint.body for endpoint in ENDPOINTS if endpoint.body]
    _, schemas = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template=_REFERENCE
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(_path(endpoint), {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "podOS Order Desk", "version": "1"},
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(endpoint: Endpoint) -> str:
    return endpoint.path.replace(":path}", "}")


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    refusals = {*_EVERYWHERE, *endpoint.refusals, *({403} if endpoint.scope == "write" else ())}
    refusals |= {413, 415} if endpoint.body else set()
    told = _EVERYWHERE | _REFUSALS
    operation: dict[str, Any] = {
        "operationId": endpoint.handle.__name__,
        "summary": endpoint.does,
        "description": f"Needs a token of scope {endpoint.scope.value}.",
        "parameters": [*_in_path(endpoint), *_in_query(endpoint), *_in_headers(endpoint)],
        "responses": {
            str(endpoint.status): _answer(endpoint.does, endpoint.answers),
            **{str(status): _answer(told[status], ErrorAnswer) for status in sorted(refusals)},
        },
    }
    if endpoint.body:
        operation["requestBody"] = {"required": True, "content": _json(endpoint.body)}
    return operation


def _answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": text, "content": _json(model)}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _in_path(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = [part.strip("{}").partition(":")[0] for part in endpoint.path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _in_query(endpoint: Endpoint) -> list[dict[str, Any]]:
    fields = endpoint.query.model_json_schema()["properties"] if endpoint.query.model_fields else {}
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        | ({"description": schema["description"]} if "description" in schema else {})
        for name, schema in fields.items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter that is left out where there is nothing to say."""
    kept = {key: value for key, value in schema.items() if key not in {"default", "title", "description"}}
    kinds = [kind for kind in kept.pop("anyOf", []) if kind != {"type": "null"}]
    return {**(kinds[0] if kinds else {}), **kept}


def _in_headers(endpoint: Endpoint) -> list[dict[str, Any]]:
    if not endpoint.needs_key:
        return []
    pattern = rf"^[!-~]([ -~]{{0,{MAX_KEY_LENGTH - 2}}}[!-~])?$"
    return [
        {
            **{"name": KEY_HEADER, "in": "header", "required": True},
            "description": "A text of your own for each parcel. The same again with it is done once.",
            "schema": {"type": "string", "pattern": pattern},
        }
    ]
