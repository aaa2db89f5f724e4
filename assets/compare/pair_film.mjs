/** The film whose frames are made, in every animation frame, of the frames of two others: A − B, ratio, blink, wipe. */
import { compareFrames } from "mloscope/compare/frames.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { turns } from "mloscope/compare/turns.mjs";
import { filmSpan } from "mloscope/films/span.mjs";

const IDLE_MS = 6; // a slice of work while no frame is due

const reach = ([lo, hi]) => (lo <= hi ? Math.max(Math.abs(lo), Math.abs(hi)) : -1);

/** What of two films must agree before their values can be set against one another. */
export function shapeOf(header) {
  return [header.units.length, header.channels.length, header.rows, header.columns, header.components];
}

export const sizeOf = (header) => {
  const [units, channels, rows, columns, components] = shapeOf(header);
  return `${units} units of ${channels * components} × ${rows} × ${columns}`;
};

/** The film whose frames are made of the frames of two others. Its steps are A's. */
export class PairFilm {
  /** @type {any} */ pairedAt;
  /** @type {any} */ paired;
  /** @type {any} */ spanned;
  /** @type {any} */ room;
  /** @type {any} */ closed;

  /** @param {any} sides the Sides that hold both films @param {string} kind difference, ratio, blink, wipe */
  constructor(sides, kind) {
    this.sides = sides;
    this.kind = kind;
    this.listeners = new Set();
    this.largest = new Map(); // "step of A, step of B" -> the largest |A − B| or |log₂ ratio|
    this.error = null;
    this.progress = null;
    this.counted = "compared"; // what is done to its steps, where another film's are loaded
    this.idle = 0;
    this.undo = [sides.a, sides.b].map((view) => view.film && view.film.subscribe(() => this.came())).filter(Boolean);
    this.undo.push(compare.subscribe(() => this.later())); // B may have another moment: other pairs
    this.made = null;
    if (kind === "blink") this.undo.push(turns.follow(() => sides.pair.later()));
    this.later();
  }

  get a() {
    return this.sides.a.film;
  }

  get b() {
    return this.sides.b.film;
  }

  get header() {
    if (!this.a || !this.b || !this.a.header || !this.b.header || !this.sides.agree()) return null;
    if (this.kind !== "ratio") return this.a.header;
    return { ...this.a.header, rows: 1, columns: 1, components: 1, isNorms: true };
  }

  /** Steps of A that have a counterpart, but for those known to be missing; computed again when either film or B's rule changes. */
  pairs() {
    if (!this.a || !this.b) return [];
    if (this.paired && this.pairedAt === compare.version) return this.paired;
    this.pairedAt = compare.version;
    this.paired = this.a.steps.flatMap((step, index) => {
      const other = compare.stepAt(index);
      return other === null || this.a.missing(step) || this.b.missing(other) ? [] : [{ step, other, key: `${step},${other}` }];
    });
    this.spanned = null;
    return this.paired;
  }

  /** How many pairs were gone through, the range over those that did not explode, and the others; kept until one more is. */
  overTime() {
    const pairs = this.pairs();
    if (!this.spanned) {
      const known = pairs.filter(({ key }) => this.largest.has(key));
      const spans = known.map(({ step, key }) => [step, [-this.largest.get(key), this.largest.get(key)]]);
      this.spanned = { loaded: known.length, ...filmSpan.of(spans) };
    }
    return this.spanned;
  }

  /** Steps of A at which what is made of both exploded. */
  exploded() {
    return this.centred ? this.overTime().exploded : new Map();
  }

  /** What was found of a pair. */
  note(key, value) {
    if (this.largest.has(key)) return;
    this.largest.set(key, value);
    this.spanned = null;
  }

  get steps() {
    return this.a ? this.a.steps : [];
  }

  get total() {
    return this.centred ? this.pairs().length : 0;
  }

  get loaded() {
    return this.centred ? this.overTime().loaded : 0;
  }

  get ranged() {
    return this.loaded;
  }

  /** Whether its scale has zero in the middle and a range of its own. */
  get centred() {
    return this.kind === "difference" || this.kind === "ratio";
  }

  missing(step) {
    return (this.a && this.a.missing(step)) || (this.b && this.b.missing(compare.step()));
  }

  frame(step) {
    const other = compare.step();
    const a = this.a && this.a.frame(step);
    const b = this.b && other !== null && this.b.frame(other);
    if (!a || !b || !this.header) return null;
    const { made } = this;
    if (made && made.a === a && made.b === b && this.kind !== "blink") return made.frame;
    const frame = this.make(a, b);
    this.made = { a, b, frame };
    const key = `${step},${other}`;
    if (this.centred && !this.largest.has(key)) this.note(key, reach(frame.layerRange));
    return frame;
  }

  make(a, b) {
    if (this.kind === "ratio") return compareFrames.ratio(a, b, this.a.header.units.length * this.a.header.channels.length);
    if (this.kind === "blink") return turns.side === "A" ? a : b;
    if (this.kind === "difference") return compareFrames.difference(a, b, this.a.header.components);
    const { layout } = this.sides.pair;
    if (!layout) return a;
    const pixels = layout.width * layout.height;
    if (!this.room || this.room.length !== pixels) this.room = new Uint32Array(pixels);
    this.made = null; // the layout may change: always computed again
    return compareFrames.wipe(a, b, () => this.sides.divider / 100, this.room);
  }

  /** [−most, most] over all steps that were gone through; null where nothing is finite. */
  range() {
    return this.overTime().span;
  }

  came() {
    this.paired = null;
    this.later();
    this.tell();
  }

  tell() {
    for (const listener of [...this.listeners]) listener();
  }

  /** Go through the pairs that have not been shown yet while the page is idle: the scale over time needs all. */
  later() {
    if (!this.centred || this.idle || this.closed) return;
    const ask = window.requestIdleCallback || ((act) => setTimeout(act, 30));
    const act = () => {
      this.idle = 0;
      if (this.closed) return;
      const until = performance.now() + IDLE_MS;
      let found = false;
      for (const { step, other, key } of this.pairs()) {
        if (this.largest.has(key) || !this.header) continue;
        if (performance.now() > until) {
          this.later();
          break;
        }
        const [a, b] = [this.a.frame(step), this.b.frame(other)];
        if (!a || !b) continue;
        const value = this.kind === "ratio" ? reach(this.make(a, b).layerRange) : compareFrames.largest(a, b);
        this.note(key, value);
        found = true;
      }
      if (found) this.tell();
    };
    this.idle = ask(act, { timeout: 500 });
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close() {
    this.closed = true;
    for (const stop of this.undo) stop();
    this.listeners.clear();
  }
}
