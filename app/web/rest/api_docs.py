"""The REST API's documentation: /api/openapi.json, and /api/docs as one page that needs nothing from anywhere
else."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from mloscope.app import errors
from mloscope.app.process.url_prefix import URL_PREFIX

PREFIX = "/api/v1/"
DESCRIPTION = (
    "Everything that ML-o-scope shows can be asked for: runs, checkpoints, parameters, feature maps, "
    "predictions, films and images. Arrays come as `.npy`, exactly as they are. Every error is "
    '`{"error": {"kind", "message"}}`, and its message says what was wrong and what would be right. '
    "What lies under its content's digest never changes; everything else has an ETag: send it back in "
    "If-None-Match, and what has not changed is not sent again."
)
REFUSALS: dict[type[errors.MloscopeError], str] = {
    errors.BadRequest: "A value in the question is wrong.",
    errors.NotSignedIn: "Sign in, or send `Authorization: Bearer` with a token that is in force.",
    errors.Forbidden: "Your role does not allow it, or another site asked in your name.",
    errors.NotFound: "There is no such run, checkpoint, layer, unit, image or film.",
    errors.Conflict: "What is asked for contradicts what is there, such as a file that changed meanwhile.",
    errors.TooLarge: "What was sent is larger than is taken.",
    errors.NotPossible: "The question is understood, but this run or corpus cannot answer it.",
    errors.TooManyRequests: "More than your share of evaluations; Retry-After says in how many seconds to ask again.",
    errors.Unavailable: "It will work later, or after something is installed or restarted.",
}
_GROUPS = {
    "runs": "Runs and networks",
    "parameters": "Parameters",
    "features": "Feature maps and predictions",
    "films": "Films",
    "statistics": "Statistics",
    "comparison": "Comparing",
    "corpora": "Images",
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the routes under /api/v1, and of nothing else that the application serves."""
    document = get_openapi(
        title="ML-o-scope",
        version=version("mloscope"),
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": title} for name, title in _GROUPS.items()],
    )
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith(PREFIX)}
    schemas = document.get("components", {}).get("schemas", {})
    used = set(_references(document["paths"], schemas))
    if "components" in document:
        document["components"]["schemas"] = {name: schemas[name] for name in schemas if name in used}
    return document


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


def api_docs_router(app: FastAPI) -> APIRouter:
    """The two routes. The document is made when it is first asked for, after all routes were added."""
    router = APIRouter(include_in_schema=False)
    document = functools.cache(lambda: openapi(app))

    @router.get("/api/openapi.json")
    def document_route() -> JSONResponse:
        return JSONResponse(document(), headers={"Cache-Control": "no-cache"})

    @router.get("/api/docs")
    def page_route(request: Request) -> HTMLResponse:
        return HTMLResponse(
            page(document(), str(request.base_url).rstrip("/") + URL_PREFIX.get()),
            headers={
                "Cache-Control": "no-cache",
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
                "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
            },
        )

    return router


# --------------------------------------------------------------------------------------------------- the page


def page(document: Mapping[str, Any], base_url: str) -> str:
    """The document as HTML. ``base_url``, without a slash at its end, stands in the curl lines."""
    schemas = document.get("components", {}).get("schemas", {})
    groups: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {name: [] for name in _GROUPS}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            group = (operation.get("tags") or ["runs"])[0]
            groups.setdefault(group, []).append((method.upper(), path, operation))
    navigation, sections = [], []
    for name, operations in groups.items():
        if not operations:
            continue
        title = escape(_GROUPS.get(name, name))
        links = "".join(
            f'<li><a href="#{_anchor(operation)}">{_path(path.removeprefix(PREFIX))}</a></li>'
            for _, path, operation in operations
        )
        navigation.append(f"<h2>{title}</h2><ul>{links}</ul>")
        articles = "".join(_operation(*each, schemas, base_url) for each in operations)
        sections.append(
            f'<section aria-labelledby="group-{name}"><h2 id="group-{name}">{title}</h2>{articles}</section>'
        )
    info = document["info"]
    return _PAGE.format(
        style=_STYLE,
        script=_SCRIPT,
        version=escape(info["version"]),
        description=_prose(info["description"]),
        refusals="".join(
            f'<tr><th scope="row">{error.status} <code>{error.kind}</code></th><td>{escape(meaning)}</td></tr>'
            for error, meaning in REFUSALS.items()
        ),
        navigation="".join(navigation),
        sections="".join(sections),
    )


def _anchor(operation: Mapping[str, Any]) -> str:
    return escape(operation["operationId"], quote=True)


def _path(path: str) -> str:
    """The path with its variables marked, and places where a line may break."""
    marked = re.sub(r"\{(\w+)\}", r"<var>\1</var>", escape(path))
    return re.sub(r"(?<!<)/", "/<wbr>", marked)


def _prose(text: str) -> str:
    """Escaped text with ``code`` and `code` marked."""
    return re.sub(r"``(.+?)``|`(.+?)`", lambda m: f"<code>{m[1] or m[2]}</code>", escape(text, quote=False))


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], base_url: str) -> str:
    parameters = operation.get("parameters", [])
    rows = "".join(_parameter(parameter) for parameter in parameters)
    table = (
        '<table><thead><tr><th scope="col">parameter</th><th scope="col">in</th><th scope="col">type</th>'
        f'<th scope="col">meaning</th></tr></thead><tbody>{rows}</tbody></table>'
        if rows
        else ""
    )
    refusals = " ".join(
        f'<span class="refusal" title="{escape(answer.get("description", ""), quote=True)}">{status}</span>'
        for status, answer in sorted(operation["responses"].items())
        if status != "200"
    )
    answer = operation["responses"].get("200", {})
    command = escape(_curl(path, parameters, answer, base_url))
    anchor = _anchor(operation)
    return (
        f'<article id="{anchor}"><h3><span class="method">{method}</span> '
        f'<a href="#{anchor}">{_path(path)}</a></h3>'
        f"<p>{_prose(operation.get('description', ''))}</p>{table}"
        f'<div class="answers">{_answer(answer, schemas)}'
        f'<p class="quiet">refusals {refusals}</p></div>'
        f'<div class="curl"><pre><code>{command}</code></pre>'
        '<button type="button" class="copy" title="Copy this line">Copy</button></div></article>'
    )


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    default = schema.get("default")
    shown = "" if default in (None, "") else f' <span class="quiet">default <code>{escape(str(default))}</code></span>'
    needed = ' <span class="needed">needed</span>' if parameter.get("required") else ""
    return (
        f'<tr><th scope="row"><code>{escape(parameter["name"])}</code>{needed}</th><td>{parameter["in"]}</td>'
        f"<td>{_kind(schema).removesuffix(' or null')}</td>"
        f"<td>{_prose(parameter.get('description', ''))}{shown}</td></tr>"
    )


def _answer(answer: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """What a route answers when all is well: its type, and the fields of an object."""
    media = answer.get("content", {})
    binary = [kind for kind in media if kind != "application/json"]
    fields = "".join(_fields(media.get("application/json", {}).get("schema", {}), schemas))
    kinds = escape(" or ".join((["application/json"] if fields else []) + binary))
    title = f'<span class="status">answers</span> {kinds}'
    if not fields:
        return f"<p>{title}</p>"
    return f'<details><summary>{title}</summary><ul class="fields">{fields}</ul></details>'


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """List items of an object's fields, those of objects within it inside."""
    target = _target(schema, schemas)
    for name, field in target.get("properties", {}).items():
        inner = "".join(_fields(field, schemas, depth + 1)) if depth < 3 else ""
        within = f"<ul>{inner}</ul>" if inner else ""
        kind = f'<span class="kind">{_kind(field)}</span>'
        yield f"<li><code>{escape(name)}</code> {kind} {_prose(field.get('description', ''))}{within}</li>"


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
    """The type in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(choice))}</code>" for choice in schema["enum"])
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = {"integer": "whole number", "string": "text", "boolean": "true or false", "null": "null"}
    return words.get(schema.get("type", ""), escape(schema.get("type", "anything")))


def _curl(path: str, parameters: Any, answer: Mapping[str, Any], base_url: str) -> str:
    """A line for the shell; words in capitals are to be filled in."""
    address = base_url + re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), path)
    asked = [f"{p['name']}={p['name'].upper()}" for p in parameters if p["in"] == "query" and p.get("required")]
    if asked:
        address += "?" + "&".join(asked)
    media = answer.get("content", {})
    flags = ""
    if "application/x-ndjson" in media and "application/json" not in media:
        flags = "-N "
    elif "application/octet-stream" in media or "image/png" in media:
        flags = "-O "
    return f"curl {flags}'{address}'"


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ML-o-scope: REST API</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#routes">To the routes</a>
<nav aria-label="Routes"><p class="home"><a href="../">ML-o-scope</a></p>{navigation}</nav>
<main id="routes">
<header><h1>REST API</h1><p class="quiet">version {version} · <a href="openapi.json">openapi.json</a></p>
<p>{description}</p>
<table><thead><tr><th scope="col">refusal</th><th scope="col">meaning</th></tr></thead>
<tbody>{refusals}</tbody></table></header>
{sections}
</main>
<script>{script}</script>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --surface: #ffffff; --raised: #f6f7f9; --sunken: #eceef2; --text: #16191f;
  --quiet: #565e6c; --line: #d9dde4; --accent: #0b62c4; --bad: #b3261e; --good: #1c6e3d;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "Roboto Mono", "DejaVu Sans Mono", monospace; }
@media (prefers-color-scheme: dark) { :root { --surface: #14171c; --raised: #1c2027; --sunken: #0d0f13;
--text: #eceff4;
  --quiet: #a2abba; --line: #303640; --accent: #6cb0ff; --bad: #ff8a80; --good: #7ad39b; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 16px; }
body { margin: 0; background: var(--surface); color: var(--text); line-height: 1.5; display: grid;
  grid-template-columns: 300px minmax(0, 1fr);
  font: 14px/1.5 "Inter", "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "DejaVu Sans", sans-serif; }
a { color: inherit; text-decoration: none; } a:hover { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
header a, .quiet a { color: var(--accent); }
.skip { position: absolute; left: -999px; } .skip:focus { left: 16px; top: 8px; background: var(--surface);
padding: 8px; } nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 24px 16px 48px 24px;
background: var(--raised);
  border-right: 1px solid var(--line); font-size: 12px; }
nav .home { font-size: 16px; font-weight: 600; margin: 0 0 16px; }
nav h2 { font-size: 12px; font-weight: 600; color: var(--quiet); margin: 24px 0 4px; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: block; padding: 3px 0; font-family: var(--mono); font-size: 11.5px; overflow-wrap:
anywhere; } main { padding: 40px clamp(16px, 5vw, 72px) 96px; max-width: 1040px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
header p { max-width: 70ch; }
section > h2 { font-size: 20px; margin: 64px 0 0; letter-spacing: -0.01em; }
article { padding: 24px 0; border-bottom: 1px solid var(--line); }
article:target { box-shadow: -3px 0 0 var(--accent); padding-left: 16px; margin-left: -16px; }
h3 { font: 600 14px/1.5 var(--mono); margin: 0 0 8px; overflow-wrap: anywhere; }
.method { color: var(--accent); margin-right: 4px; }
var { font-style: normal; color: var(--accent); }
var::before { content: "{"; } var::after { content: "}"; }
article p { margin: 8px 0; max-width: 75ch; }
code { font: 12.5px var(--mono); }
p code, td code, li code { background: var(--raised); border-radius: 3px; padding: 1px 4px; overflow-wrap:
anywhere; } table { border-collapse: collapse; width: 100%; margin: 16px 0; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line);
} thead th { color: var(--quiet); font-weight: 500; font-size: 12px; }
tbody th { font-weight: 500; white-space: nowrap; } tbody tr:last-child > * { border-bottom: 0; }
.quiet, .kind { color: var(--quiet); font-size: 12px; }
.needed { color: var(--accent); font-size: 11px; font-weight: 500; margin-left: 4px; }
.answers { margin: 12px 0; font-size: 13px; }
.answers p { margin: 2px 0; }
.refusal { font: 12px var(--mono); color: var(--bad); margin-left: 6px; cursor: help; }
.status { color: var(--good); font-weight: 500; margin-right: 4px; }
summary { cursor: pointer; padding: 2px 0; }
.fields, .fields ul { list-style: none; padding-left: 18px; margin: 4px 0; }
.fields { border-left: 2px solid var(--line); margin-left: 4px; } .fields li { padding: 2px 0; }
.curl { position: relative; background: var(--sunken); border-radius: 6px; }
.curl pre { margin: 0; padding: 10px 76px 10px 14px; overflow-x: auto; }
.copy { position: absolute; right: 6px; top: 5px; font: inherit; font-size: 12px; padding: 3px 10px; cursor:
pointer;
  color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: 4px; }
.copy:hover { border-color: var(--accent); color: var(--accent); }
@media (max-width: 900px) { body { display: block; } nav { position: static; height: auto; border-right: 0;
  border-bottom: 1px solid var(--line); } table, tbody, tr, th, td { display: block; border: 0; padding: 1px
  0; } thead { display: none; } tbody tr { padding: 6px 0; border-bottom: 1px solid var(--line); } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
"""

_SCRIPT = """
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without a secure context: one key press is left
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
"""
