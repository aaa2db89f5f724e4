"""app/web/dash/bundle.py: modules in one file run as they do apart. That all of ours do, tests in a browser show."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mloscope.app.web.dash.bundle import Bundle, Module, bundled_styles, without_comments

ASSETS = Path(__file__).resolve().parents[4] / "assets"
MODULES = {
    "main.mjs": 'import "mloscope/first.mjs";\nimport { add, count as counted } from "mloscope/count.mjs";\n'
    'import { Twin as Other, hidden } from "mloscope/twin.mjs";\n'
    "const before = [subject(), hidden];\nadd();\n"
    "globalThis.said = [...before, subject(), counted(), new Other().name()];\n"
    "function subject() {\n  return read();\n}\n"
    'import { read } from "mloscope/reader.mjs";\n',
    "first.mjs": "globalThis.order = [1];\n",
    "count.mjs": "/** Counts. */\nexport let total = 0; // so far\nconst hidden = 5;\n"
    "export const add = () => {\n  total += hidden;\n};\nexport function count() {\n  return total;\n}\n",
    "reader.mjs": 'import { total } from "mloscope/count.mjs";\nexport const read = () => total;\n',
    "twin.mjs": "class Own {\n  name() {\n    return `a // b\n  c`;\n  }\n}\nexport const hidden = 7;\nexport { Own as Twin };\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in MODULES.items():
        (tmp_path / name).write_text(source)
    return tmp_path


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_bundle_runs_as_its_modules_do(folder: Path, tmp_path: Path) -> None:
    bundle = Bundle(folder, "mloscope/main.mjs").text()
    (tmp_path / "whole.mjs").write_text(bundle + "console.log(JSON.stringify([said, order, total]));")
    said = subprocess.run(["node", "whole.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == '[[0,7,5,5,"a // b\\n  c"],[1],5]\n'


def test_modules_stand_in_the_order_of_their_imports(folder: Path) -> None:
    text = Bundle(folder, "mloscope/main.mjs").text()
    names = ["first", "count", "twin", "reader", "main"]
    places = [text.index(f'modules["mloscope/{name}.mjs"] = ') for name in names]
    assert places == sorted(places)


def test_others_import_a_module_by_its_name(folder: Path) -> None:
    bundle = Bundle(folder, "mloscope/main.mjs")
    assert bundle.alias("mloscope/count.mjs") == (
        'import { modules } from "mloscope/main.mjs";\n'
        'export const { add, count } = modules["mloscope/count.mjs"];\n'
        'export { total } from "mloscope/main.mjs";\n'
    )
    assert bundle.alias("mloscope/gone.mjs") is None


@pytest.mark.parametrize(
    "statement",
    [
        "export default 1;",
        'import * as all from "mloscope/a.mjs";',
        'export * from "mloscope/a.mjs";',
        'import x from "y";',
    ],
)
def test_other_forms_are_refused(statement: str) -> None:
    with pytest.raises(ValueError, match="cannot be bundled"):
        Module.of("mloscope/a.mjs", f"{statement}\n")


def test_modules_that_import_each_other_are_refused(folder: Path) -> None:
    (folder / "first.mjs").write_text('import "mloscope/main.mjs";\n')
    with pytest.raises(ValueError, match="import each other"):
        Bundle(folder, "mloscope/main.mjs")


def test_two_variables_of_one_name_are_refused(folder: Path) -> None:
    (folder / "first.mjs").write_text("export let total = 1;\n")
    with pytest.raises(ValueError, match="total"):
        Bundle(folder, "mloscope/main.mjs")


def test_comments_go_and_texts_stay() -> None:
    source = (
        "/**\n * Words. **\n */\nconst a = 'http://x // y'; // gone\n  // gone\n"
        "/** @type {number} */ let b = 1; /* stays */\n/* gone */\nf(/** @type {any} */ (b)); // it's kept\n"
    )
    assert without_comments(source) == ("const a = 'http://x // y';\nlet b = 1; /* stays */\nf((b)); // it's kept\n")


def test_all_of_ours_can_be_bundled() -> None:
    bundle = Bundle(ASSETS, "mloscope/main.mjs")
    apart = sum(path.stat().st_size for path in ASSETS.rglob("*.mjs"))
    assert "subject" in (bundle.alias("mloscope/base/subject.mjs") or "")
    assert len(bundle.text()) < 0.8 * apart


def test_styles_stand_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.css").write_text("/* no */\nb {\n  color: red;\n}\n")
    (tmp_path / "a.css").write_text("a {}\n")
    assert bundled_styles(tmp_path) == "a {}\nb {\ncolor: red;\n}\n"
