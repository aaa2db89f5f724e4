/**
 * What becomes of the image that is changed little by little: the component LabSweep. A map of steps and amounts, and the curves at
 * the step of the time bus.
 */
import { api } from "mloscope/base/addresses.mjs";
import { context2d } from "mloscope/base/canvas.mjs";
import { fill, labelled, select } from "mloscope/base/controls.mjs";
import { component, element, oncePerFrame, write } from "mloscope/base/dom.mjs";
import { percent, rounded, stepName, typeset } from "mloscope/base/numbers.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { onOpen, subject, whyNoPredictions } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { colours } from "mloscope/films/colour_tables.mjs";
import { IMAGE_KEYS, asked } from "mloscope/lab/image.mjs";
import { Lines } from "mloscope/lab/lines.mjs";
import { Swept } from "mloscope/lab/swept.mjs";

const PROBABILITY = "probability";

class Sweep {
  /** @type {any} */ sweep;
  /** @type {any} */ what;
  /** @type {any} */ status;
  /** @type {any} */ canvas;
  /** @type {any} */ cursor;
  /** @type {any} */ reading;
  /** @type {any} */ plate;
  /** @type {any} */ ends;
  /** @type {any} */ steps;
  /** @type {any} */ legend;
  /** @type {any} */ message;
  /** @type {any} */ probability;
  /** @type {any} */ distances;
  /** @type {any} */ heads;
  /** @type {any} */ body;
  /** @type {any} */ empty;
  /** @type {any} */ offered;
  swept = new Swept(() => this.later());
  later = oncePerFrame(() => this.draw());

  constructor(root) {
    this.root = root;
    this.build();
    this.resizes = new ResizeObserver(() => this.later());
    this.resizes.observe(root);
    this.undo = [
      view.subscribe((_, keys) => {
        if (keys.some((key) => [...IMAGE_KEYS, "sweep"].includes(key))) this.ask();
        if (keys.includes("swept")) this.later();
      }),
      onOpen(() => this.ask()),
      time.subscribe(() => this.later()),
      () => this.resizes.disconnect(),
      () => this.swept.close(),
      () => this.later.cancel(),
    ];
    this.ask();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    const sweeps = pageData("sweeps").map(([name, title]) => [name, title]);
    this.sweep = select({ class: "tool-select", "data-view": "sweep" }, sweeps, (sweep) => view.set({ sweep }));
    this.what = select({ class: "tool-select", "data-view": "swept" }, [[PROBABILITY, "probability"]], (swept) => view.set({ swept }));
    this.status = element("span", { class: "quiet-text", role: "status" });
    this.canvas = element("canvas", { class: "lab-map-canvas" });
    this.cursor = element("div", { class: "lab-cursor" });
    this.reading = element("p", { class: "quiet-text lab-reading" });
    this.plate = element("div", { class: "lab-map-plate", role: "img" }, [this.canvas, this.cursor]);
    this.ends = ["high", "low"].map((end) => element("span", { class: `lab-end-${end}` }));
    this.steps = [element("span", {}), element("span", {})];
    this.legend = element("div", { class: "lab-legend" });
    this.message = element("p", { class: "lab-message", hidden: true });
    this.probability = new Lines("Probability of the class over the amount, at this step");
    this.distances = new Lines("Distance of the layers' outputs over the amount, at this step");
    this.plate.addEventListener("pointermove", (event) => this.read(event));
    this.plate.addEventListener("pointerleave", () => write(this.reading, ""));
    this.plate.addEventListener("click", (event) => time.request(this.cellAt(event).place));
    this.heads = ["", ""].map(() => element("h3", { class: "panel-subtitle" }));
    this.body = element("div", { class: "lab-sweep-body" }, [
      element("div", { class: "lab-map" }, [element("div", { class: "lab-map-amounts" }, this.ends), this.plate]),
      element("div", { class: "lab-map-steps" }, this.steps),
      this.legend,
      this.reading,
      this.heads[0],
      this.probability.svg,
      this.heads[1],
      this.distances.svg,
    ]);
    this.root.append(
      element("div", { class: "lab-tools" }, [labelled("Change", this.sweep), labelled("shown", this.what), this.status]),
      this.message,
      this.body,
    );
  }

  // -------------------------------------------------------------------------------------------------------- questions

  ask() {
    const { sweep } = view.get();
    this.sweep.value = sweep;
    const image = asked();
    this.empty = !subject
      ? ""
      : !subject.evaluation.possible
        ? whyNoPredictions(subject)
        : image
          ? null
          : "Select an image to see when the network became indifferent to its changes.";
    const address = this.empty === null ? api(["runs", subject.run, "sweeps", sweep, image], { corpus: subject.corpus }) : null;
    this.swept.follow(address, subject ? subject.checkpoints.map(({ step }) => step) : [], time.step);
    this.later();
  }

  // ---------------------------------------------------------------------------------------------------------- drawing

  /** What the map shows: (amount, checkpoint) values, and the end of their scale. */
  shown() {
    const { head, probabilities, distances, largest } = this.swept;
    const layer = head.layers.indexOf(view.get().swept);
    return layer < 0
      ? { values: probabilities, top: 1, name: `probability of ${this.className()}`, format: (value) => percent(value) }
      : {
          values: distances[layer],
          top: largest[layer] || 1,
          name: `distance of ${head.layers[layer]}`,
          format: (value) => typeset(rounded(value)),
        };
  }

  className() {
    const number = this.swept.head.class;
    return number === null ? "no class" : subject.classNames[number] || `output ${number}`;
  }

  draw() {
    const { head, error, came, isDone } = this.swept;
    const said = this.empty || error;
    this.root.dataset.state = said ? "missing" : isDone ? "ready" : "pending";
    write(this.message, said || "");
    this.message.hidden = !said;
    this.body.hidden = Boolean(said) || !head;
    write(this.status, said || isDone ? "" : head ? `evaluating: ${came} of ${head.total}` : "evaluating");
    if (said || !head) return;
    const options = [[PROBABILITY, `probability of ${this.className()}`], ...head.layers.map((name) => [name, `distance of ${name}`])];
    if (this.what.options.length !== options.length || this.offered !== String(options)) fill(this.what, options);
    this.offered = String(options);
    this.what.value = head.layers.includes(view.get().swept) ? view.get().swept : PROBABILITY;
    this.drawMap();
    this.drawLines();
  }

  drawMap() {
    const { head, steps } = this.swept;
    const { values, top, name } = this.shown();
    const count = head.amounts.length;
    Object.assign(this.canvas, { width: steps, height: count });
    const context = context2d(this.canvas);
    const image = context.createImageData(steps, count);
    const words = new Uint32Array(image.data.buffer);
    const table = colours.pixels("viridis");
    values.forEach((value, cell) => {
      const row = count - 1 - Math.floor(cell / steps); // the largest amount is on top
      if (Number.isFinite(value)) words[row * steps + (cell % steps)] = table[Math.min(255, Math.round((value / top) * 255))];
    });
    context.putImageData(image, 0, 0);
    this.cursor.style.left = `${((time.index + 0.5) / steps) * 100}%`;
    const ends = [head.amounts[count - 1], head.amounts[0]];
    this.ends.forEach((node, place) => write(node, `${typeset(String(ends[place]))} ${head.unit}`));
    const { checkpoints } = time;
    this.steps.forEach((node, place) => write(node, stepName(checkpoints[place * (checkpoints.length - 1)])));
    this.plate.setAttribute("aria-label", `${name} by step and amount; at this step from ${this.summary()}`);
    this.drawLegend(name, top);
  }

  drawLegend(name, top) {
    const key = `${name} ${top}`;
    if (this.legend.dataset.key === key) return;
    this.legend.dataset.key = key;
    const table = colours.table("viridis");
    const stops = [0, 64, 128, 191, 255].map((at) => `rgb(${[...table.subarray(at * 3, at * 3 + 3)].join(",")})`).join(",");
    const bar = element("span", { class: "lab-legend-bar", style: `background: linear-gradient(to right, ${stops})` });
    this.legend.replaceChildren(
      element("span", {}, [name]),
      element("span", {}, ["0"]),
      bar,
      element("span", {}, [top === 1 && name.startsWith(PROBABILITY) ? percent(1, 0) : typeset(rounded(top))]),
    );
  }

  atStep(values) {
    const { head, steps } = this.swept;
    return head.amounts.map((_, amount) => values[amount * steps + time.index]);
  }

  summary() {
    const here = this.atStep(this.shown().values).filter(Number.isFinite);
    return here.length ? `${this.shown().format(Math.min(...here))} to ${this.shown().format(Math.max(...here))}` : "nothing yet";
  }

  drawLines() {
    const { head, probabilities, distances, largest } = this.swept;
    const palette = pageData("categories");
    const hasClass = head.class !== null;
    this.heads[0].hidden = this.probability.svg.toggleAttribute("hidden", !hasClass);
    write(this.heads[0], `probability of ${this.className()} at this step`);
    write(this.heads[1], "how far the layers' outputs move at this step, relative to their norm");
    const own = [{ name: this.className(), colour: palette[0], values: this.atStep(probabilities) }];
    if (hasClass) this.probability.draw(head.amounts, head.unit, own, 1, head.neutral);
    const layers = head.layers.map((name, place) => ({
      name,
      colour: palette[place % palette.length],
      values: this.atStep(distances[place]),
    }));
    this.distances.draw(head.amounts, head.unit, layers, Math.max(...largest), head.neutral);
  }

  // ---------------------------------------------------------------------------------------------------------- pointer

  cellAt(event) {
    const { head, steps } = this.swept;
    const { left, top, width, height } = this.plate.getBoundingClientRect();
    const within = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const count = head.amounts.length;
    return {
      place: within((event.clientX - left) / width, steps),
      amount: count - 1 - within((event.clientY - top) / height, count),
    };
  }

  read(event) {
    if (!this.swept.head) return;
    const { place, amount } = this.cellAt(event);
    const { values, format, name } = this.shown();
    const checkpoint = time.checkpoints[place];
    const value = values[amount * this.swept.steps + place];
    const reason = this.swept.reasons.get(checkpoint.step);
    const { amounts, unit } = this.swept.head;
    write(
      this.reading,
      `step ${stepName(checkpoint)}, ${typeset(String(amounts[amount]))} ${unit}: ${Number.isFinite(value) ? `${name} ${format(value)}` : reason || "nothing yet"}`,
    );
  }
}

/** The React component behind components/browser_parts.py. */
export const LabSweep = component("lab-sweep", Sweep);
