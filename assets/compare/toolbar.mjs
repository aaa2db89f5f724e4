/**
 * What is compared, and how: the component Comparison, controls over three canvases.
 *
 * Every control writes the view and shows what the view says; nothing is kept here. The rows A and B say which run, layer,
 * array, units and moment each side has; on B "as A" is the default of each.
 */
import { fill, labelled, segments, select } from "mloscope/base/controls.mjs";
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { stepName } from "mloscope/base/numbers.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { evaluating } from "mloscope/compare/evaluating.mjs";
import { compareExport } from "mloscope/compare/export.mjs";
import { compareSides } from "mloscope/compare/sides.mjs";
import { alignment, ownScales, turning } from "mloscope/compare/choices.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { followTraining } from "mloscope/compare/training.mjs";
import { Picker } from "mloscope/runs/picker.mjs";

const get = (key) => view.get()[key];
/** @param {string} key @param {any} value @param {"push" | "replace"} [history] */
const set = (key, value, history = "push") => view.set({ [key]: value }, { history });

/** Buttons for a field of the view. */
function buttonsOf(key, label) {
  const { node, show } = segments(label, view.choices(key), (value) => set(key, value));
  return { node, show: () => show(get(key)) };
}

/** A select with its label. `options()` gives [value, text] pairs, `value()` the one chosen, `use(value)` what choosing does. */
function choice(id, label, tip, options, value, use) {
  const chosen = select({ id, class: "tool-select compare-select" }, [], use);
  let shown = "";
  const show = () => {
    const wanted = options();
    const text = JSON.stringify(wanted);
    if (text !== shown) fill(chosen, wanted);
    shown = text;
    if (chosen.value !== value()) chosen.value = value();
  };
  return { node: labelled(label, chosen, tip), show };
}

function field(id, label, tip, placeholder, value, use) {
  const input = element("input", { id, class: "form-control tool-input compare-input", autocomplete: "off", placeholder });
  input.addEventListener("change", () => use(input.value.trim()));
  const show = () => {
    const text = value();
    if (document.activeElement !== input && input.value !== text) input.value = text;
  };
  return { node: labelled(label, input, tip), show };
}

/** A number of the view that a field holds; a value that is not a number is reported, and the field shows the old one again. */
function setNumber(key, text) {
  if (text && !/^\d{1,15}$/.test(text)) notice(`"${text}" is not a whole number of 0 or more.`);
  else set(key, text === "" ? null : Number(text));
}

function setUnits(key, text) {
  try {
    set(key, view.formatUnits(view.parseUnits(text)));
  } catch (error) {
    notice(error.message);
  }
}

const layerOf = (subject, name) => (subject ? subject.layers.find((layer) => layer.name === name) : null);
const HOW = { hand: "paired by hand", name: "same name", "kind and shape": "same kind and shape", kind: "same kind, same place" };

class Toolbar {
  /** @type {any} */ modes;
  /** @type {HTMLDivElement} */ saves;
  /** @type {any} */ parts;
  /** @type {any} */ scaleTools;
  /** @type {any} */ arrays;
  /** @type {HTMLOutputElement} */ stepA;
  /** @type {HTMLSpanElement} */ runA;
  /** @type {any} */ filmTools;
  /** @type {HTMLInputElement} */ slider;
  /** @type {Picker} */ run;
  /** @type {HTMLOutputElement} */ stepB;
  /** @type {any} */ times;
  /** @type {any} */ alignNode;
  /** @type {any} */ linked;
  /** @type {HTMLButtonElement} */ evaluate;
  /** @type {{node: HTMLElement, show: () => void}} */ scales;
  /** @type {{node: HTMLElement, show: () => void}} */ turning;

  constructor(place) {
    this.saying = element("span", { class: "compare-saying" });
    const rows = [this.how(), this.rowA(), this.rowB()];
    place.append(...rows);
    this.place = place;
  }

  how() {
    const colour = choice("compare-colour", "colour", "Colour table; a difference has blue–red unless a diverging table is chosen", () => view.choices("colour"), () => get("colour"), (v) => set("colour", v)); // prettier-ignore
    const range = choice("compare-range", "range", "What the ends of the common colour scale follow", () => view.choices("range"), () => get("range"), (v) => set("range", v)); // prettier-ignore
    const shows = buttonsOf("compare-show", "What is compared");
    this.modes = buttonsOf("compare-mode", "How it is compared");
    this.scales = ownScales();
    this.turning = turning();
    this.saves = element("div", { class: "compare-saves", role: "group", "aria-label": "Save" });
    this.parts = [colour, range, shows, this.modes, this.scales, this.turning];
    this.scaleTools = [colour.node, range.node];
    return element("div", { class: "compare-row" }, [
      shows.node,
      this.modes.node,
      this.scales.node,
      this.turning.node,
      element("span", { class: "bar-space" }),
      this.saves,
    ]);
  }

  rowA() {
    const layers = choice(
      "compare-a-layer", "layer", "Layer of side A",
      () => ((subject && subject.layers) || []).map(({ name, kind }) => [name, `${name} · ${kind}`]),
      () => get("layer"), (v) => set("layer", v),
    ); // prettier-ignore
    const array = choice(
      "compare-a-parameter", "array", "Which of the layer's arrays",
      () => ((layerOf(subject, get("layer")) || {}).parameters || []).map(({ name }) => [name, name]),
      () => get("parameter") || (((layerOf(subject, get("layer")) || {}).parameters || [])[0] || {}).name || "",
      (v) => set("parameter", v),
    ); // prettier-ignore
    const units = field(
      "compare-a-units",
      "units",
      "Units of both sides, such as 0-15,40",
      "all",
      () => get("units"),
      (v) => setUnits("units", v),
    );
    this.parts.push(layers, array, units);
    this.arrays = [array.node];
    this.stepA = element("output", { class: "compare-step" });
    this.runA = element("span", { class: "compare-run" });
    const row = element("div", { class: "compare-row compare-row-side" }, [
      badge("A"),
      this.runA,
      layers.node,
      array.node,
      units.node,
      ...this.scaleTools,
      this.stepA,
    ]);
    this.filmTools = [layers.node, units.node];
    return row;
  }

  /** What is shown of B, and when. */
  rowB() {
    this.run = new Picker(element("div", { id: "compare-b-run", class: "compare-run-choice" }), {
      label: "Run of side B",
      first: [["", "as A"]],
      chosen: () => get("b-run"),
      choose: (name) => view.set({ "b-run": name, "b-step": null, "b-layer": "", "b-parameter": "", "b-units": "" }),
    });
    const layer = choice(
      "compare-b-layer", "layer", "Layer of side B; its partner unless another is chosen",
      () => [["", asA()], ...unknown(get("b-layer"), layerNames(compare.subject)), ...layerNames(compare.subject).map((name) => [name, name])],
      () => get("b-layer"), (v) => view.set({ "b-layer": v, "b-parameter": "" }),
    ); // prettier-ignore
    const array = choice(
      "compare-b-parameter", "array", "Which array of B's layer",
      () => [["", compare.parameter() ? `as A: ${compare.parameter()}` : "as A"], ...((layerOf(compare.subject, compare.layer().name) || {}).parameters || []).map(({ name }) => [name, name])],
      () => get("b-parameter"), (v) => set("b-parameter", v),
    ); // prettier-ignore
    const units = field(
      "compare-b-units",
      "units",
      "Units of side B where they are to be others than A's",
      "as A",
      () => get("b-units"),
      (v) => setUnits("b-units", v),
    );
    this.stepB = element("output", { class: "compare-step" });
    this.parts.push(this.run, layer, array, units);
    this.arrays.push(array.node);
    this.filmTools.push(layer.node, units.node);
    return element("div", { class: "compare-row compare-row-side" }, [
      badge("B"), element("div", { class: "tool" }, [element("span", {}, ["run"]), this.run.root]), layer.node, array.node, units.node, ...this.timesOfB(), this.stepB,
    ]); // prettier-ignore
  }

  /** How B's moment follows A's: the rule, and what the rule in force is told by. */
  timesOfB() {
    const follow = choice(
      "compare-follow",
      "time",
      "How B's moment follows A's, which the slider below moves",
      followOptions,
      () => get("compare-follow"),
      (v) => set("compare-follow", v),
    );
    const step = field(
      "compare-b-step",
      "step",
      "The step at which B stays",
      "",
      () => String(compare.step() ?? ""),
      (v) => setNumber("b-step", v),
    );
    const lag = field(
      "compare-lag",
      "checkpoints",
      "How many checkpoints B is behind",
      "1",
      () => String(get("compare-lag")),
      (v) => setNumber("compare-lag", v),
    );
    const align = alignment();
    this.slider = element("input", {
      type: "range", class: "compare-b-slider", id: "compare-b-slider", min: 0, max: 0, step: 1, title: "B's own moment",
      "aria-label": "Moment of side B",
    }); // prettier-ignore
    this.slider.addEventListener("input", () => compare.hold(Number(this.slider.value)));
    this.slider.addEventListener("change", () => compare.release());
    this.times = { fixed: step.node, lag: lag.node, same: align.node, free: this.slider };
    this.alignNode = align.node;
    this.parts.push(follow, step, lag, align);
    this.evaluate = button("tool-chip", "", "Compute the statistics that tell accuracy", () => this.computeAccuracy());
    return [follow.node, step.node, lag.node, align.node, this.evaluate, this.slider];
  }

  computeAccuracy() {
    evaluating.start();
    this.show();
  }

  /** All but the readouts of time. */
  show() {
    for (const part of this.parts) part.show();
    const shown = get("compare-show");
    this.modes.node.hidden = false;
    for (const button of this.modes.node.children)
      button.hidden = shown === "confusion" && !["side", "difference"].includes(button.dataset.value);
    for (const node of this.arrays) node.hidden = shown !== "parameters";
    for (const node of this.scaleTools) node.hidden = shown === "confusion";
    this.scales.node.hidden = shown === "confusion" || compareSides.overlaid();
    this.turning.node.hidden = shown === "confusion" || compareSides.mode() !== "blink";
    for (const node of this.filmTools) node.hidden = shown === "confusion";
    this.runA.textContent = subject ? subject.run : "";
    const { follow } = compare;
    for (const [name, node] of Object.entries(this.times)) node.hidden = name !== follow;
    write(this.evaluate, evaluating.offer());
    this.evaluate.hidden = !this.evaluate.textContent;
    this.alignNode.hidden = compare.isSameRun || (follow !== "same" && follow !== "lag");
    this.slider.max = String(Math.max(0, compare.subject ? compare.subject.checkpoints.length - 1 : 0));
    this.links();
    this.showTime();
  }

  /** Readouts of both moments; every frame. */
  showTime() {
    write(this.stepA, momentOf(time.checkpoint));
    const index = compare.index;
    write(this.stepB, index === null ? "–" : momentOf(compare.subject.checkpoints[index]));
    if (index !== null && compare.follow === "free" && Number(this.slider.value) !== index) this.slider.value = String(index);
  }

  links() {
    const shown = get("compare-show");
    const items = [];
    if (shown !== "confusion")
      items.push(
        ["npz", "Both arrays and their difference, exactly", () => compare.exportUrl("arrays.npz")],
        ["csv", "Norms, variances, change and cosine of each unit", () => compare.exportUrl("units", "csv")],
      );
    else items.push(["csv", "Both confusion matrices and their difference", () => compare.confusionUrl()]);
    items.push(["png", "The pictures as PNG", null], ["svg", "The pictures as SVG", null]);
    const key = [shown === "confusion", ...items.map(([name]) => name)].join();
    if (key === this.linked) return;
    this.linked = key;
    const label = element("span", { class: "compare-save-label" }, ["save"]);
    this.saves.replaceChildren(
      label,
      ...items.map(([name, tip, address]) => {
        const button = element("button", { type: "button", class: "compare-save", title: tip, "data-save": name }, [`.${name}`]);
        button.addEventListener("click", () =>
          address
            ? compareExport.file(address())
            : compareExport.picture(this.place.closest(".compare-centre") || this.place.parentNode, name),
        );
        return button;
      }),
    );
  }
}

const badge = (name) => element("b", { class: `compare-badge compare-badge-${name.toLowerCase()}` }, [name]);
const layerNames = (subject) => (subject ? subject.layers.map(({ name }) => name) : []);
const unknown = (name, known) => (name && !known.includes(name) ? [[name, `${name} (not there)`]] : []);

function asA() {
  const pair = compare.overview && compare.overview.pairs.find(({ a }) => a === get("layer"));
  if (!pair) return "as A";
  return pair.b ? `${pair.b} (${HOW[pair.how] || pair.how})` : "no partner";
}

function followOptions() {
  const meant = { fixed: "stays at a step", same: "same point" }[compare.isSameRun ? "fixed" : "same"];
  return view.choices("compare-follow").map(([value, text]) => [value, value === "auto" ? `automatic: ${meant}` : text]);
}

function momentOf(checkpoint) {
  if (!checkpoint) return "";
  const epoch = checkpoint.epoch === null || checkpoint.epoch === undefined ? "" : ` · epoch ${Number(checkpoint.epoch.toFixed(2))}`;
  return `step ${stepName(checkpoint)}${epoch}${checkpoint.problem ? " ✕" : ""}`;
}

class BothSides {
  constructor(root) {
    const bar = element("div", { class: "compare-bar", role: "toolbar", "aria-label": "What is compared, and how" });
    /** @type {any} */
    const places = Object.fromEntries(
      ["a", "b", "pair"].map((name) => [name, element("div", { class: `film compare-film compare-film-${name}` })]),
    );
    this.films = element("div", { class: "compare-films" }, Object.values(places));
    root.append(bar, this.films);
    this.root = root;
    this.toolbar = new Toolbar(bar);
    this.sides = new compareSides.Sides(places);
    this.undo = [
      compare.subscribe(() => this.show()),
      view.subscribe(() => this.show()),
      onOpen(() => this.show()),
      time.subscribe(() => this.toolbar.showTime()),
      followTraining(),
      () => this.sides.destroy(),
      () => this.toolbar.run.destroy(),
    ];
    this.show();
  }

  show() {
    const { mode, shownAs, overlaid } = compareSides;
    this.films.dataset.mode = mode();
    this.films.hidden = shownAs() === "confusion";
    this.films.toggleAttribute("data-overlaid", overlaid());
    this.toolbar.show();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }
}

export const Comparison = component("compare-main", BothSides);
