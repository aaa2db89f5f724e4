"""Our modules and style sheets as two files, so that opening a page costs two requests and not two hundred.

    modules in folders ──(comments out, each one a block, in the order of their imports)──► main.mjs
                   each name ──► a module of two lines that hands on what main.mjs holds, for whoever imports it by that name
    style sheets in folders ──► styles.css

No tool builds anything: the server writes them when it starts. It reads the one form of imports and exports that our modules
have, and refuses others. Modules keep what is theirs alone to their blocks; a variable that a module exports lies outside them, for
who imports it sees it change.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

_IMPORT = re.compile(r'^import (?:\{([^{}]*)\} from )?"(mloscope/[^"]+)";\n?', re.MULTILINE)
_EXPORT = re.compile(r"^export (const|let|class|function|async function) ([\w$]+)", re.MULTILINE)
_EXPORT_LIST = re.compile(r"^export \{([^{}]*)\};\n?", re.MULTILINE)
_UNKNOWN = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_COMMENT_LINES = re.compile(r"^[ \t]*(?:/\*[^*]*(?:\*(?!/)[^*]*)*\*/[ \t]*|//[^\n]*)(?:\n|\Z)", re.MULTILINE)
_TYPE = re.compile(r"/\*\* @[^*]*\*/ ?")
_COMMENT_AT_END = re.compile(r""" // [^"'`\n]*$""", re.MULTILINE)
"""No string is open where no quote follows."""
_INDENTATION = re.compile(r"^\s+", re.MULTILINE)
_MODULES = "modules"
"""What holds everything that modules export, by their names."""


@dataclass(frozen=True)
class Module:
    """One of our modules, taken apart."""

    name: str
    body: str
    """Without imports, and with declarations in the place of exports."""
    imported: tuple[tuple[str, str], ...]
    """Names of modules, each with the names within its braces."""
    exported: dict[str, str]
    """What each exported name is called within the module."""
    variable: frozenset[str]
    """The exported names that may be given another value."""

    @classmethod
    def of(cls, name: str, source: str) -> Module:
        """Take a module apart. Raises ValueError where it imports or exports in another form than ours."""
        imported = tuple((path, " ".join(names.split())) for names, path in _IMPORT.findall(source))
        body = _IMPORT.sub("", source)
        exported = {export: export for _, export in _EXPORT.findall(body)}
        variable = frozenset(export for kind, export in _EXPORT.findall(body) if kind == "let")
        for listed in _EXPORT_LIST.findall(body):
            for each in filter(None, map(str.strip, listed.split(","))):
                own, _, export = each.partition(" as ")
                exported[export or own] = own
        body = _EXPORT_LIST.sub("", _EXPORT.sub(_declaration, body))
        unknown = _UNKNOWN.search(body)
        if unknown:
            raise ValueError(f"{name} has a statement that cannot be bundled: {unknown[0]}")
        return cls(name, without_comments(body), imported, exported, variable)


def _declaration(found: re.Match[str]) -> str:
    kind, name = found.groups()
    return name if kind == "let" else f"{kind} {name}"


def without_comments(source: str) -> str:
    """Return the source, which Prettier has written, without indentation and comments; where a text spans lines, without those comments
    alone that have lines of their own, for the rest may be part of the text."""
    bare = _TYPE.sub("", _COMMENT_LINES.sub("", source))
    if any(line.count("`") % 2 for line in bare.splitlines()):
        return bare
    return _INDENTATION.sub("", _COMMENT_AT_END.sub("", bare))


@dataclass
class Bundle:
    """The modules that an entry imports, as one."""

    folder: Path
    entry: str
    """Its name, such as ``mloscope/main.mjs``."""
    _modules: dict[str, Module] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gather(self.entry, ())
        variables = [name for module in self._modules.values() for name in module.variable]
        if len(set(variables)) < len(variables):
            raise ValueError(f"Two modules export a variable of the same name: {', '.join(sorted(variables))}.")

    def _gather(self, name: str, importing: tuple[str, ...]) -> None:
        if name in importing:
            raise ValueError(f"Modules import each other: {' → '.join((*importing, name))}.")
        if name in self._modules:
            return
        path = self.folder / name.removeprefix("mloscope/")
        module = Module.of(name, path.read_text(encoding="utf-8"))
        for imported, _ in module.imported:
            self._gather(imported, (*importing, name))
        self._modules[name] = module  # in the order in which a browser runs them

    def text(self) -> str:
        """Return the module that runs them all."""
        variables = sorted(name for module in self._modules.values() for name in module.variable)
        declared = "".join(f"let {name};\n" for name in variables)
        blocks = "".join(map(self._block, self._modules.values()))
        return f"const {_MODULES} = {{}};\n{declared}{blocks}export {{ {', '.join((_MODULES, *variables))} }};\n"

    def _block(self, module: Module) -> str:
        imports = "".join(self._import(name, names) for name, names in module.imported if names)
        exports = ", ".join(
            f"get {export}() {{ return {own}; }}" if export in module.variable else f"{export}: {own}"
            for export, own in module.exported.items()
        )
        return f'{{\n{imports}{module.body}{_MODULES}["{module.name}"] = {{ {exports} }};\n}}\n'

    def _import(self, name: str, names: str) -> str:
        """What stands for an import: the variables are in reach already."""
        wanted = [each.strip() for each in names.split(",") if each.strip()]
        taken = [each.replace(" as ", ": ") for each in wanted if each not in self._modules[name].variable]
        return f'const {{ {", ".join(taken)} }} = {_MODULES}["{name}"];\n' if taken else ""

    def alias(self, name: str) -> str | None:
        """Return the module by which others import one that is within; None where there is no such module."""
        module = self._modules.get(name)
        if module is None or name == self.entry:
            return None
        constant = sorted(module.exported.keys() - module.variable)
        lines = [f'import {{ {_MODULES} }} from "{self.entry}";']
        lines += [f'export const {{ {", ".join(constant)} }} = {_MODULES}["{name}"];'] if constant else []
        lines += [f'export {{ {each} }} from "{self.entry}";' for each in sorted(module.variable)]
        return "\n".join(lines) + "\n"


def bundled_styles(folder: Path) -> str:
    """Return the folder's style sheets, in the order of their names."""
    return "".join(
        _INDENTATION.sub("", _COMMENT_LINES.sub("", path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*.css"))
    )


def digest_of(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
