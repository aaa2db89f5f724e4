/**
 * The three canvases of a comparison: A, B, and what becomes of both. `compareSides`.
 *
 *     FilmView(A: subject, time bus) ─┐
 *     FilmView(B: compare)  ─┼─ frames ──► PairFilm ──► FilmView(A − B, ratio, blink, wipe)
 *                                     └─ one scale, one pointer, one scroll position
 *
 * A and B are ordinary films; the third one's frames are made of theirs, in every animation frame, without a request.
 */
import { element } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { grouped, reading } from "mloscope/base/numbers.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { compareFrames } from "mloscope/compare/frames.mjs";
import { PairFilm, shapeOf, sizeOf } from "mloscope/compare/pair_film.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { turns } from "mloscope/compare/turns.mjs";
import { filmBytes } from "mloscope/films/bytes.mjs";
import { FilmView } from "mloscope/films/canvas.mjs";
import { Company } from "mloscope/films/company.mjs";
import { filmDraw } from "mloscope/films/draw.mjs";
import { films } from "mloscope/films/films.mjs";

const WORDS = { difference: "A − B", ratio: "‖A‖ / ‖B‖", blink: "blink", wipe: "wipe" };
const CHANNEL_WORDS = ["red", "green", "blue"];

const shownAs = () => view.get()["compare-show"];
const mode = () => view.get()["compare-mode"];
const overlaid = () => mode() === "blink" || mode() === "wipe";
/** Whether A and B have a colour scale each; laid over one another they have one. */
const ownScales = () => view.get()["compare-scale"] === "own" && !overlaid();

/** The exploded steps of a canvas's film, and the step it shows. */
const explodedOf = (view, step) => [view.film ? view.film.exploded() : new Map(), step];

const FAR = 10;
const toward = (key) => (key === "ArrowLeft" ? -1 : 1);
const dividerKeys = keyTable("Divider between A and B", [
  {
    keys: ["Shift+ArrowLeft", "Shift+ArrowRight"],
    does: "ten per cent to the side",
    act: (sides, { key }) => sides.putDivider(sides.divider + FAR * toward(key)),
  },
  { keys: ["ArrowLeft", "ArrowRight"], does: "to the side", act: (sides, { key }) => sides.putDivider(sides.divider + toward(key)) },
  { keys: ["Home", "End"], does: "all of B, or all of A", act: (sides, { key }) => sides.putDivider(key === "Home" ? 0 : 100) },
]);

class Sides extends Company {
  /** @type {HTMLDivElement} */ handle;
  /** @type {any} */ dragging;

  /** @param {{a: HTMLElement, b: HTMLElement, pair: HTMLElement}} places the elements that the films are to fill */
  constructor(places) {
    super();
    this.divider = view.get()["compare-wipe"];
    this.a = new FilmView(places.a, shownAs(), this.sideA());
    this.b = new FilmView(places.b, shownAs(), this.sideB());
    this.pair = new FilmView(places.pair, shownAs(), this.sidePair());
    for (const film of [this.a, this.b, this.pair]) this.join(film);
    this.buildDivider();
    this.undo = [compare.subscribe(() => this.refresh()), view.subscribe(() => this.refresh())];
    this.refresh();
  }

  destroy() {
    for (const undo of this.undo) undo();
    for (const film of this.all) film.destroy();
  }

  refresh() {
    this.divider = this.dragging ? this.divider : view.get()["compare-wipe"];
    for (const film of this.all) {
      film.show = shownAs();
      film.root.dataset.side = film === this.a ? "a" : film === this.b ? "b" : "pair";
      film.later();
    }
    this.showDivider();
  }

  /** Whether values of A and B belong to each other one by one. */
  agree() {
    const [a, b] = [this.a.film, this.b.film].map((film) => film && film.header);
    return Boolean(a && b) && shapeOf(a).join() === shapeOf(b).join();
  }

  /** All films have the room of the smallest of them, so that their tiles lie alike. */
  room() {
    const seen = overlaid() ? [this.pair] : this.all.filter((film) => film.shown);
    const boxes = seen.map((film) => film.stage.getBoundingClientRect()).filter(({ width }) => width > 0);
    const least = (side) => Math.min(...boxes.map((box) => box[side]));
    return boxes.length ? { width: least("width"), height: least("height") } : { width: 0, height: 0 };
  }

  /** How many tiles stand in a row: as many as in A. */
  acrossOf(film) {
    const { layout } = this.a;
    return film === this.a || overlaid() || !layout || layout.bars ? null : layout.across;
  }

  frames() {
    const step = time.step;
    const other = compare.step();
    const frame = (view, at) => (view.film && at !== null ? view.film.frame(at) : null);
    return [frame(this.a, step), frame(this.b, other)];
  }

  /** One scale for both sides: what the ends are made of is the union of both. */
  commonSpans() {
    const { union } = compareFrames;
    const range = (view) => view.film && view.film.range();
    const unitOf = (frame, unit) => frame && unit * 2 < frame.unitRanges.length && frame.unitRanges.subarray(unit * 2, unit * 2 + 2);
    return {
      fixed: () => union(range(this.a), range(this.b)),
      step: () => union(...this.frames().map((frame) => frame && frame.layerRange)),
      unit: (unit) => union(...this.frames().map((frame) => unitOf(frame, unit))),
      exploded: () => [explodedOf(this.a, time.step), explodedOf(this.b, compare.step())],
    };
  }

  sideA() {
    return {
      lead: () => ["A", subject && subject.run],
      moment: () => inWords(time.step, compare.accuracy("a")),
      subject: () => subject,
      view: () => view.get(),
      step: () => time.step,
      stepAt: (index) => time.checkpoints[index].step,
      isShown: () => shownAs() !== "confusion",
      wanted(film) {
        const { url, empty } = film.wantedUrl();
        return { key: url, empty, open: () => films.open(`${url}&near=${time.step}`) };
      },
      spans: (film) => (ownScales() ? this.ownSpans(film) : this.commonSpans()),
      room: () => this.room(),
      across: (film) => this.acrossOf(film),
      legend: () => ({ more: [ownScales() ? "its own scale" : "same scale for A and B"] }),
      selected: (header) => header.units.indexOf(view.get().unit),
      select: (header, place) => view.set({ unit: header.units[place] }),
    };
  }

  sideB() {
    return {
      ...this.sideA(),
      lead: () => ["B", compare.run],
      moment: () => inWords(compare.step(), compare.accuracy("b")),
      subject: () => compare.subject,
      view: () => compare.viewOfB(),
      step: () => compare.step(),
      stepAt: (index) => compare.stepAt(index),
      wanted(film) {
        const empty = reasonForNoB();
        if (empty !== null) return { key: null, empty };
        const found = film.wantedUrl();
        const clock = /** @type {any} */ (compare.isSameRun ? time : compare);
        const step = compare.step();
        const near = step === null ? "" : `&near=${step}`;
        return { key: found.url, empty: found.empty, open: () => films.open(found.url + near, clock) };
      },
      absent: () => compare.reason(),
      selected: (header) => this.placeOfUnit(header),
      select: (header, place) => this.selectInB(header, place),
    };
  }

  sidePair() {
    return {
      ...this.sideA(),
      isMade: true, // of two films, here: the server has none of it to save
      lead: ({ film }) => [!film ? WORDS[mode()] : film.kind === "blink" ? `blink: ${turns.side}` : WORDS[film.kind]],
      moment: () => `${inWords(time.step)} and ${inWords(compare.step()).replace("step ", "")}`,
      isShown: () => shownAs() !== "confusion" && mode() !== "side",
      wanted: () => {
        const [a, b] = [this.a.film, this.b.film];
        const trouble = this.a.empty || this.b.empty;
        if (trouble) return { key: null, empty: `${WORDS[mode()]} needs both sides.` };
        if (!a || !b || !a.header || !b.header) return { key: null, empty: null };
        if (!this.agree()) {
          const sizes = `A has ${sizeOf(a.header)}, B ${sizeOf(b.header)}`;
          return { key: null, empty: `${WORDS[mode()]} needs the same shape on both sides: ${sizes}.` };
        }
        const key = [mode(), this.a.url, this.b.url, compare.follow, ...followed()].join(" ");
        return { key, empty: null, open: () => new PairFilm(this, mode()) };
      },
      spans: (film) => (film.film.centred ? { ...this.ownSpans(film), centred: true } : this.commonSpans()),
      legend: (film) => this.legendOfPair(film),
    };
  }

  ownSpans(film) {
    const { frame } = film;
    return {
      isGrowing: film.film.loaded < film.film.total, // over time it would not be fixed yet
      fixed: () => film.film.range(),
      step: () => frame && frame.layerRange,
      unit: (unit) => frame && frame.unitRanges.subarray(unit * 2, unit * 2 + 2),
      exploded: () => [explodedOf(film, time.step)],
    };
  }

  legendOfPair(film) {
    const { kind } = film.film;
    if (kind === "ratio") {
      return {
        format: compareFrames.times,
        more: ["red: A's norm is larger; blue: smaller; doubling and halving are equally far from the middle"],
        precision: "norms computed from displayed values; the table has exact ones",
      };
    }
    if (kind !== "difference") return { more: [kind === "blink" ? "A and B in turn" : "A left of the divider, B right of it"] };
    const colours = film.layout && film.layout.components === 3;
    return {
      more: [colours ? "the one of red, green and blue that differs most" : ""],
      precision: "displayed values are accurate to about ±0.2\u202f% of each range",
    };
  }

  // ------------------------------------------------------------------------------------------------- selected unit

  /** Where the selected unit of A has its partner among B's units. */
  placeOfUnit(header) {
    const { unit } = view.get();
    const ours = this.a.film && this.a.film.header;
    if (view.get()["b-units"] && ours) {
      const place = ours.units.indexOf(unit);
      return place < header.units.length ? place : -1;
    }
    return header.units.indexOf(unit);
  }

  selectInB(header, place) {
    const ours = this.a.film && this.a.film.header;
    const apart = view.get()["b-units"] && ours && place < ours.units.length;
    view.set({ unit: apart ? ours.units[place] : header.units[place] });
  }

  /** A film is another, has more, or another room: the others lie as it does, and have what is made of both. */
  refreshed(film) {
    for (const other of this.all) if (other !== film) other.arrange(); // in as many columns as A, in the room of the smallest
    if (film === this.pair) return;
    this.pair.later();
    (film === this.a ? this.b : this.a).draw(); // the scale is of both
  }

  // --------------------------------------------------------------------------------------------- pointer and scroll

  samePlaces(film, other) {
    return film.film.header.units.length === other.film.header.units.length;
  }

  /** What the tip says: the value on both sides, and what they make together. */
  lines(film, over, named) {
    const agree = this.agree();
    if (!agree) return named(film.pointer.readings(over));
    const at = this.cell(film, over);
    const [a, b] = this.frames();
    const value = (label, frame, view) => {
      if (!frame || !view.layout) return [`${label} –`];
      const texts = this.readingsOf(frame, view, at);
      return texts.length === 3 ? texts.map((text, place) => `${label} ${CHANNEL_WORDS[place]} ${text}`) : [`${label} ${texts[0]}`];
    };
    const lines = [];
    if (at) lines.push(...value("A", a, this.a), ...value("B", b, this.b));
    const { pair } = this;
    if (pair.frame && pair.film && pair.film.centred) {
      const place = pair.film.kind === "ratio" ? { ...over, row: 0, column: 0 } : at;
      if (place) lines.push(...value(WORDS[pair.film.kind], pair.frame, pair));
    }
    return lines.length ? lines : named(film.pointer.readings(over));
  }

  /** The value under the pointer; null over a tile of norms, which stands for many. */
  cell(film, over) {
    return film === this.pair && film.film.kind === "ratio" ? null : over;
  }

  readingsOf(frame, view, over) {
    const { layout } = view;
    const place = over && view.film.kind === "ratio" ? { ...over, row: 0, column: 0 } : over;
    if (!place) return ["–"];
    const at = filmDraw.offset(layout, place.unit, place.channel) + (place.row * layout.columns + place.column) * layout.components;
    if (frame.readings) return frame.readings(at, place.unit);
    const [lo, hi] = frame.unitRanges.subarray(place.unit * 2, place.unit * 2 + 2);
    return [...frame.codes.subarray(at, at + layout.components)].map((code) => {
      const { value, error } = filmBytes.value(code, lo, hi);
      return reading(value, error);
    });
  }

  // ------------------------------------------------------------------------------------------------------- divider

  buildDivider() {
    this.handle = element("div", {
      class: "compare-divider", role: "slider", tabindex: 0, "aria-label": "Divider: A left of it, B right", "aria-valuemin": 0,
      "aria-valuemax": 100, "data-own-keys": true, title: "Drag, or use the arrow keys: A is left of it, B right", hidden: true,
    }); // prettier-ignore
    this.pair.plate.append(this.handle);
    this.handle.addEventListener("pointerdown", (event) => {
      this.dragging = true;
      this.handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.handle.focus();
    });
    this.handle.addEventListener("pointermove", (event) => {
      if (!this.dragging) return;
      const box = this.pair.plate.getBoundingClientRect();
      this.moveDivider(((event.clientX - box.left) / box.width) * 100);
    });
    const drop = () => {
      if (!this.dragging) return;
      this.dragging = false;
      view.set({ "compare-wipe": Math.round(this.divider) }, { history: "replace" });
    };
    this.handle.addEventListener("pointerup", drop);
    this.handle.addEventListener("pointercancel", drop);
    this.handle.addEventListener("click", (event) => event.stopPropagation());
    this.handle.addEventListener("keydown", (event) => dividerKeys(this, event) && event.stopPropagation());
  }

  /** The divider stands there, and the address says so. */
  putDivider(percent) {
    this.moveDivider(percent);
    view.set({ "compare-wipe": Math.round(this.divider) }, { history: "replace" });
  }

  moveDivider(percent) {
    this.divider = Math.min(100, Math.max(0, percent));
    this.showDivider();
    this.pair.draw();
  }

  showDivider() {
    this.handle.hidden = mode() !== "wipe";
    this.handle.style.left = `${this.divider}%`;
    this.handle.setAttribute("aria-valuenow", Math.round(this.divider));
  }
}

/**
 * "step 1 200 · accuracy 0.794"
 * @param {number | null} step @param {number | null} [accuracy]
 */
const inWords = (step, accuracy = null) =>
  step === null ? "–" : `step ${grouped(step)}${accuracy === null ? "" : ` · accuracy ${accuracy.toFixed(3)}`}`;

/** What besides the films decides which frames belong together. */
function followed() {
  return [view.get()["compare-lag"], compare.align];
}

function reasonForNoB() {
  if (compare.problem) return compare.problem;
  if (!compare.overview) return null;
  const { layer } = view.get();
  const partner = compare.layer();
  if (!partner.name) return `${layer} has no partner in ${compare.run}. Choose a layer for B, or pair them under Layers.`;
  const { alignments } = compare.overview;
  return compare.follow === "same" && !compare.isSameRun ? alignments[compare.align].problem : null;
}

export const compareSides = { Sides, PairFilm, overlaid, mode, shownAs, WORDS };
