/** What is drawn along the slider: ticks and labels of all checkpoints, what is the matter with them, and what has been loaded. */
import { element } from "mloscope/base/dom.mjs";
import { stepName } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { films } from "mloscope/films/films.mjs";
import { inWords } from "mloscope/shell/checkpoint_words.mjs";
import { spacing } from "mloscope/shell/spacing.mjs";

const THUMB_PX = 16; // as in timeline.css: the first and last stop lie half a thumb inside the track
const LABEL_PX = 64;
const MOST_TICKS = 300; // beyond this the ticks run into a band
const UP = "l5 9h-10z";
const DIAMOND = "l5 5l-5 5l-5 -5z";
const TROUBLES = {
  exploded: { name: "explosion", shape: UP, words: "the values in view exploded" },
  all: { name: "nan", shape: DIAMOND, words: "all values in view are NaN or infinite" },
  some: { name: "some-nan", shape: DIAMOND, words: "some values in view are NaN or infinite" },
};

/**
 * Where a share of the slider's length lies, in pixels: where the middle of the thumb stands.
 * @param {number} share 0..1
 * @param {number} width of the slider
 */
export const thumbAt = (share, width) => THUMB_PX / 2 + share * (width - THUMB_PX);

export class TimeRail {
  /** @type {number} */ width = 0;
  /** @type {SVGPathElement | null} */ loadedPath = null;
  /** @type {any} */ troubles;
  /** @type {string} */ markedSteps = "";

  constructor() {
    this.root = element("svg:svg", { class: "timeline-rail", "aria-hidden": "true", height: 44 });
  }

  /** Position of a checkpoint along the rail, in pixels. */
  along(index) {
    return thumbAt(spacing.shareOf(index), this.width);
  }

  /** On whole pixels and a half: a line of one pixel is sharp there. */
  sharp(index) {
    return Math.round(this.along(index)) + 0.5;
  }

  /** Ticks, labels and crosses; when checkpoints, their spacing or the width change, never while time moves. */
  draw() {
    this.width = this.root.getBoundingClientRect().width;
    if (!this.width || !time.count) return;
    const list = time.checkpoints;
    const end = list.length - 1;
    const x = (index) => this.sharp(index);
    const labelled = this.labelled();
    const band = list.length > MOST_TICKS;
    const ticks = band ? labelled : list.map((_, index) => index);
    const tick = (index) => `M${x(index)} 21v${labelled.includes(index) ? 7 : 4}`;
    this.loadedPath = element("svg:path", { class: "timeline-loaded", d: "" });
    const broken = list.flatMap((checkpoint, index) => (checkpoint.problem ? [index] : []));
    this.root.replaceChildren(
      element("svg:path", { class: "timeline-line", d: `M${x(0)} 12H${x(end)}` }),
      this.loadedPath,
      element("svg:path", { class: "timeline-band", d: band ? `M${x(0)} 23H${x(end)}` : "" }),
      element("svg:path", { class: "timeline-ticks", d: ticks.map(tick).join("") }),
      ...labelled.map((index) => label(list[index], x(index), index === 0 ? "start" : index === end ? "end" : "middle")),
      ...broken.map((index) => cross(list[index], x(index))),
      (this.troubles = element("svg:g", { class: "timeline-troubles" })),
    );
    this.markedSteps = "";
    this.showLoaded();
  }

  /** Positions whose steps are written out: both ends, and those between that have room; evenly every 1, 2, 5, 10 ... */
  labelled() {
    const end = time.count - 1;
    const every = spacing.kind === "even" ? everyOf(time.count, (this.width - THUMB_PX) / LABEL_PX) : 1;
    const labelled = [0];
    for (let index = every; index < end; index += every) {
      const here = this.along(index);
      if (this.along(end) - here >= LABEL_PX && here - this.along(labelled[labelled.length - 1]) >= LABEL_PX * 0.9) labelled.push(index);
    }
    return end > 0 ? [...labelled, end] : labelled;
  }

  /** Steps at which something is the matter with what is in view: it is not drawn, or not on the scale of the others. */
  showTroubles() {
    const troubled = films.troubled();
    const marked = time.checkpoints.flatMap(({ step }, index) => (troubled.has(step) ? [[index, troubled.get(step)]] : []));
    if (this.markedSteps === String(marked)) return;
    this.markedSteps = String(marked);
    this.troubles.replaceChildren(...marked.map(([index, trouble]) => this.troubleMark(index, TROUBLES[trouble])));
  }

  troubleMark(index, { name, shape, words }) {
    const checkpoint = time.checkpoints[index];
    const place = `M${this.sharp(index)} 18${shape}`;
    return element("svg:path", { class: `timeline-trouble-mark timeline-${name}`, "data-step": checkpoint.step, d: place }, [
      element("svg:title", {}, [`step ${stepName(checkpoint)}: ${words}`]),
    ]);
  }

  /** On the track, quietly, what need not be waited for. */
  showLoaded() {
    if (!this.loadedPath) return;
    this.showTroubles();
    const inView = films.inView();
    const end = time.count - 1;
    const between = (index) => (this.along(Math.max(0, index - 1)) + this.along(Math.min(end, index))) / 2;
    let path = "";
    let from = -1;
    for (let index = 0; index <= time.count; index += 1) {
      const here = index < time.count && inView.count > 0 && inView.has(time.checkpoints[index].step);
      if (here && from < 0) from = index;
      if (!here && from >= 0) {
        path += `M${between(from).toFixed(1)} 12H${between(index).toFixed(1)}`;
        from = -1;
      }
    }
    this.loadedPath.setAttribute("d", path);
  }
}

/** Every how many checkpoints a label fits: 1, 2, 5, 10, 20 ... */
function everyOf(count, room) {
  for (let size = 1; ; size *= 10) {
    for (const factor of [1, 2, 5]) if ((count - 1) / (size * factor) <= Math.max(1, room)) return size * factor;
  }
}

function label(checkpoint, x, anchor) {
  const at = anchor === "start" ? x - THUMB_PX / 2 : anchor === "end" ? x + THUMB_PX / 2 : x;
  return element("svg:text", { class: "timeline-label", x: at, y: 40, "text-anchor": anchor }, [stepName(checkpoint)]);
}

function cross(checkpoint, x) {
  return element("svg:g", { class: "timeline-cross", "data-step": checkpoint.step }, [
    element("svg:title", {}, [inWords(checkpoint)]),
    element("svg:rect", { x: x - 6, y: 17, width: 12, height: 13 }),
    element("svg:path", { d: `M${x - 3} 20l6 6m0-6l-6 6` }),
  ]);
}
