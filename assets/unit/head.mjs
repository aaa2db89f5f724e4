/**
 * Which unit the page is about: the component UnitHead. Layer and unit are the view's, so addresses and other pages share them.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { select } from "mloscope/base/controls.mjs";
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { keyTable, whose } from "mloscope/base/keys.mjs";
import { extents, extentsOfMaps } from "mloscope/base/layers.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { namesOfUnits, onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { topPatches } from "mloscope/unit/top_patches.mjs";

const unitKeys = keyTable("Unit page", [
  { keys: ["n"], does: "the next unit", act: (head) => head.turn(1) },
  { keys: ["p"], does: "the unit before", act: (head) => head.turn(-1) },
]);

class Head {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.layer = select({ class: "tool-select", "aria-label": "Layer" }, [], (layer) => view.set({ layer }));
    this.title = element("h2", { class: "unit-title", "aria-live": "polite" });
    this.before = button("tool-button", "‹", "The unit before (key p)", () => this.turn(-1));
    this.after = button("tool-button", "›", "The next unit (key n)", () => this.turn(1));
    this.settled = element("p", { class: "unit-settled" });
    this.network = element("a", { class: "unit-link", href: mountedAt("/"), "data-page": "network" }, ["Its layer on the Network page"]);
    root.append(this.layer, this.before, this.title, this.after, this.settled, this.network);
    const press = (event) =>
      whose(event, /** @type {Element} */ (document.getElementById("time-slider"))) !== "focus" && unitKeys(this, event);
    document.addEventListener("keydown", press);
    this.undo = [
      view.subscribe(() => this.show()),
      onOpen(() => this.list()),
      topPatches.follow(() => this.show()),
      () => document.removeEventListener("keydown", press),
    ];
    this.list();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  /** How many units the selected layer has; 0 where that is not known. */
  get count() {
    const layer = subject && subject.layers.find(({ name }) => name === view.get().layer);
    if (!layer) return 0;
    return extentsOfMaps(layer).unit || extents(layer, "").unit;
  }

  turn(by) {
    const { count } = this;
    if (!count) return false;
    view.set({ unit: (view.get().unit + by + count) % count }, { history: "replace" });
  }

  list() {
    const names = subject ? subject.layers.filter((layer) => layer.kind !== "input").map(({ name }) => name) : [];
    this.layer.replaceChildren(...names.map((name) => element("option", { value: name }, [name])));
    this.show();
  }

  show() {
    const { layer, unit } = view.get();
    const { count } = this;
    this.layer.value = layer;
    const names = namesOfUnits(subject, layer, count);
    const named = names && names[unit] && names[unit] !== String(unit) ? ` (${names[unit]})` : "";
    write(this.title, count ? `unit ${unit}${named} of ${grouped(count)}` : `unit ${unit}`);
    this.before.disabled = this.after.disabled = count < 2;
    write(this.settled, [settledInWords(), mediansInWords()].filter(Boolean).join(" "));
  }
}

function settledInWords() {
  const { found } = topPatches;
  if (!found || found.steps.length < 2) return "";
  const last = found.steps.at(-1);
  if (last.state !== "alive") return "";
  const share = found.share === 0.5 ? "half" : `${Math.round(100 * found.share)} %`;
  return `Looks as it does at step ${grouped(last.step)} since step ${grouped(found.settled)}: at least ${share} of its images are the same from then on.`;
}

/** Since when the units of each layer look so, in the median. */
function mediansInWords() {
  const { overview, layer } = topPatches;
  const known = overview ? overview.layers.filter(({ median_settled: median }) => median !== null) : [];
  if (!layer || layer.steps.length < 2 || known.length < 2) return "";
  return `In the median, units settle at step ${known.map((each) => `${grouped(Math.round(each.median_settled))} (${each.layer})`).join(", ")}.`;
}

/** The React component behind components/browser_parts.py. */
export const UnitHead = component("unit-head toolbar", Head);
