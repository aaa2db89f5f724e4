"""The REST API's documentation: /api/openapi.json, and /api/docs as one page that needs nothing from anywhere
else."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self

from fastapi import APIRouter, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import TypeAdapter

from mloscope.app.process.url_prefix import URL_PREFIX
from mloscope.app.web.rest.refusals import REFUSALS, ErrorAnswer
from mloscope.app.web.templates import render

PREFIX = "/api/v1/"
DESCRIPTION = (
    "Everything that ML-o-scope shows can be asked for: runs, checkpoints, parameters, feature maps, "
    "predictions, films and images. Arrays come as `.npy`, exactly as they are. Every error is "
    '`{"error": {"kind", "message"}}`, and its message says what was wrong and what would be right. '
    "What lies under its content's digest never changes; everything else has an ETag: send it back in "
    "If-None-Match, and what has not changed is not sent again."
)
_GROUPS = {
    "runs": "Runs and networks",
    "parameters": "Parameters",
    "features": "Feature maps and predictions",
    "films": "Films",
    "statistics": "Statistics",
    "comparison": "Comparing",
    "corpora": "Images",
}


@functools.cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the routes under /api/v1."""
    from mloscope.app.web.rest.resources import ROUTERS

    document = get_openapi(
        title="ML-o-scope",
        version=version("mloscope"),
        description=DESCRIPTION,
        routes=[route for router in ROUTERS for route in router.routes],
        tags=[{"name": name, "description": title} for name, title in _GROUPS.items()],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _add_refusals(document["paths"], schemas)
    _sort_parameters(document["paths"])
    used = set(_references(document["paths"], schemas))
    document["components"]["schemas"] = {name: schemas[name] for name in sorted(schemas) if name in used}
    return document


def _add_refusals(paths: Mapping[str, Any], schemas: dict[str, Any]) -> None:
    """Add what every route may refuse with; FastAPI would build the schema again for each route and status at every start."""
    reference = "#/components/schemas/{model}"
    schema = TypeAdapter(ErrorAnswer).json_schema(ref_template=reference)
    schemas |= {**schema.pop("$defs"), ErrorAnswer.__name__: schema}
    content = {"application/json": {"schema": {"$ref": reference.format(model=ErrorAnswer.__name__)}}}
    refusals = {str(error.status): {"description": text, "content": content} for error, text in REFUSALS.items()}
    for item in paths.values():
        for operation in item.values():
            operation["responses"] = dict(sorted((operation["responses"] | refusals).items()))


def _sort_parameters(paths: Mapping[str, Any]) -> None:
    """Put path parameters in the order of the path: those of dependencies would come last."""
    for path, item in paths.items():
        places = {name: place for place, name in enumerate(re.findall(r"{(\w+)}", path))}
        for operation in item.values():
            operation.get("parameters", []).sort(
                key=lambda parameter, places=places: (
                    places.get(parameter["name"], len(places)) if parameter["in"] == "path" else len(places)
                )
            )


def _references(value: Any, schemas: Mapping[str, Any], seen: set[str] | None = None) -> Iterator[str]:
    """Names of the schemas that the value refers to, directly or through others."""
    seen = set() if seen is None else seen
    if isinstance(value, Mapping):
        name = str(value.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield name
            yield from _references(schemas.get(name, {}), schemas, seen)
        for item in value.values():
            yield from _references(item, schemas, seen)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, schemas, seen)


router = APIRouter(include_in_schema=False)


@router.get("/api/openapi.json")
def document_route() -> JSONResponse:
    return JSONResponse(openapi(), headers={"Cache-Control": "no-cache"})


@router.get("/api/docs")
def page_route(request: Request) -> HTMLResponse:
    return HTMLResponse(
        page(openapi(), str(request.base_url).rstrip("/") + URL_PREFIX.get()),
        headers={
            "Cache-Control": "no-cache",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
        },
    )


# --------------------------------------------------------------------------------------------------- the page


@dataclass(frozen=True)
class _Field:
    """A field of an answer."""

    name: str
    kind: str
    description: str
    fields: Sequence[_Field]
    """Those of the object in it."""


@dataclass(frozen=True)
class _Parameter:
    name: str
    place: str
    """``path`` or ``query``."""
    kind: str
    description: str
    required: bool
    default: str

    @classmethod
    def of(cls, parameter: Mapping[str, Any]) -> Self:
        schema = parameter.get("schema", {})
        default = schema.get("default")
        return cls(
            name=parameter["name"],
            place=parameter["in"],
            kind=_kind(schema).removesuffix(" or null"),
            description=parameter.get("description", ""),
            required=parameter.get("required", False),
            default="" if default is None else str(default),
        )


@dataclass(frozen=True)
class _Operation:
    """A route as the page shows it."""

    name: str
    """Stands behind # in its address."""
    method: str
    path: str
    description: str
    parameters: Sequence[_Parameter]
    media: Sequence[str]
    """Media types of the answer when all is well."""
    fields: Sequence[_Field]
    """Those of its JSON."""
    refusals: Sequence[tuple[str, str]]
    """Status and meaning of each."""

    @classmethod
    def of(cls, method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Self:
        answers = operation["responses"]
        media = answers.get("200", {}).get("content", {})
        fields = _fields(media.get("application/json", {}).get("schema", {}), schemas)
        return cls(
            name=operation["operationId"],
            method=method.upper(),
            path=path,
            description=operation.get("description", ""),
            parameters=[_Parameter.of(each) for each in operation.get("parameters", [])],
            media=["application/json"] * bool(fields) + [kind for kind in media if kind != "application/json"],
            fields=fields,
            refusals=[
                (status, answer.get("description", "")) for status, answer in sorted(answers.items()) if status != "200"
            ],
        )

    def curl(self, base_url: str) -> str:
        """A line for the shell; words in capitals are to be filled in."""
        address = base_url + re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), self.path)
        asked = [
            f"{each.name}={each.name.upper()}" for each in self.parameters if each.place == "query" and each.required
        ]
        if asked:
            address += "?" + "&".join(asked)
        flags = ""
        if self.media == ["application/x-ndjson"]:
            flags = "-N "
        elif {"application/octet-stream", "image/png"} & set(self.media):
            flags = "-O "
        return f"curl {flags}'{address}'"


@dataclass(frozen=True)
class _Group:
    name: str
    title: str
    operations: Sequence[_Operation]


def page(document: Mapping[str, Any], base_url: str) -> str:
    """The document as HTML. ``base_url``, without a slash at its end, stands in the curl lines."""
    schemas = document.get("components", {}).get("schemas", {})
    groups: dict[str, list[_Operation]] = {name: [] for name in _GROUPS}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            group = (operation.get("tags") or ["runs"])[0]
            groups.setdefault(group, []).append(_Operation.of(method, path, operation, schemas))
    return render(
        "api_docs.html",
        info=document["info"],
        prefix=PREFIX,
        base_url=base_url,
        refusals=REFUSALS,
        groups=[_Group(name, _GROUPS.get(name, name), found) for name, found in groups.items() if found],
    )


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> list[_Field]:
    """An object's fields, those of objects within it inside."""
    return [
        _Field(
            name, _kind(field), field.get("description", ""), _fields(field, schemas, depth + 1) if depth < 3 else ()
        )
        for name, field in _target(schema, schemas).get("properties", {}).items()
    ]


def _target(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that a schema is, holds a list of, or may be."""
    if "$ref" in schema:
        return schemas.get(schema["$ref"].rpartition("/")[2], {})
    if "items" in schema:
        return _target(schema["items"], schemas)
    for choice in schema.get("anyOf", ()):
        found = _target(choice, schemas)
        if found.get("properties"):
            return found
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    """The type in words, with `code` marked."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = {"integer": "whole number", "string": "text", "boolean": "true or false", "null": "null"}
    return words.get(schema.get("type", ""), schema.get("type", "anything"))
