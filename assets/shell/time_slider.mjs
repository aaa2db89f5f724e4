/**
 * The timeline: the component TimeSlider. A native range input whose stops are all checkpoints, a rail below it that
 * shows them, and play, speed, loop and jump. It owns nothing: it asks the time bus and shows what the bus says.
 */
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { keyTable, whose } from "mloscope/base/keys.mjs";
import { grouped, stepName } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { films } from "mloscope/films/films.mjs";

const SPEEDS = [2, 5, 10, 25, 60];
const THUMB_PX = 16; // as in timeline.css: the first and last stop lie half a thumb inside the track
const LABEL_PX = 64;
const MOST_TICKS = 300; // beyond this the ticks run into a band
const FAR = 10;
const UP = "l5 9h-10z";
const DIAMOND = "l5 5l-5 5l-5 -5z";
const TROUBLES = {
  exploded: { name: "explosion", shape: UP, words: "the values in view exploded" },
  all: { name: "nan", shape: DIAMOND, words: "all values in view are NaN or infinite" },
  some: { name: "some-nan", shape: DIAMOND, words: "some values in view are NaN or infinite" },
};

const ICONS = {
  play: "M4 2.5v11l9.5-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  first: "M3 2.5h2v11H3zM13.5 2.5v11L6 8z",
  back: "M11.5 2.5v11L4 8z",
  on: "M4.5 2.5v11L12 8z",
  last: "M11 2.5h2v11h-2zM2.5 2.5v11L10 8z",
  loop: "M4 5h7.2l-1.6-1.6L10.7 2.3 14.2 5.8l-3.5 3.5-1.1-1.1L11.2 6.5H5.5v3H4zM12 11H4.8l1.6 1.6-1.1 1.1-3.5-3.5 3.5-3.5 1.1 1.1L4.8 9.5h5.7v-3H12z",
};

const inWords = (checkpoint) =>
  `step ${stepName(checkpoint)}` +
  (isKnown(checkpoint.epoch) ? `, epoch ${short(checkpoint.epoch)}` : "") +
  (checkpoint.problem ? `, cannot be read: ${checkpoint.problem}` : "");
const isKnown = (value) => value !== null && value !== undefined;
const short = (epoch) => String(Number(Number(epoch).toFixed(2)));

const timeKeys = keyTable(
  "Time: everywhere but in fields, and on what Tab has reached",
  [
    { keys: [" "], does: "play or pause", act: () => toggle() },
    { keys: ["ArrowLeft", "ArrowRight"], does: "one checkpoint back or on", act: (_, { key }) => move(key === "ArrowLeft" ? -1 : 1) },
    { keys: [",", "."], does: "the same, also where the arrows have another use", act: (_, { key }) => move(key === "," ? -1 : 1) },
    {
      keys: ["Shift+ArrowLeft", "Shift+ArrowRight"],
      does: "ten checkpoints back or on",
      act: (_, { key }) => move(key === "ArrowLeft" ? -FAR : FAR),
    },
    { keys: ["Home", "End"], does: "first or last checkpoint", act: (_, { key }) => go(key === "Home" ? 0 : time.count - 1) },
    {
      keys: ["PageUp", "PageDown"],
      does: "ten checkpoints on or back, on the slider",
      act: (timeline, { key, target }) => target === timeline.range && move(key === "PageUp" ? FAR : -FAR),
    },
  ],
  true,
);
const jumpKeys = keyTable("Go to step", [
  { keys: ["Enter"], does: "go there", act: (timeline) => timeline.goToTyped() },
  { keys: ["Escape"], does: "leave the field", act: (timeline) => timeline.jump.blur() },
]);

class Timeline {
  /** @type {any} */ play;
  /** @type {any} */ loop;
  /** @type {HTMLSelectElement} */ speed;
  /** @type {HTMLInputElement} */ range;
  /** @type {SVGSVGElement} */ rail;
  /** @type {HTMLOutputElement} */ readout;
  /** @type {HTMLInputElement} */ jump;
  /** @type {HTMLSpanElement} */ status;
  /** @type {HTMLUListElement} */ broken;
  /** @type {any} */ checkpoints;
  /** @type {boolean} */ tookSpace;
  /** @type {any} */ saidAt;
  /** @type {any} */ width;
  /** @type {SVGPathElement} */ loadedPath;
  /** @type {SVGGElement} */ troubles;
  /** @type {any} */ markedSteps;

  constructor(root) {
    this.root = root;
    this.drawnRail = "";
    this.build();
    const keys = (event) => this.key(event);
    const keysUp = (event) => this.keyUp(event);
    document.addEventListener("keydown", keys, true);
    document.addEventListener("keydown", keys);
    document.addEventListener("keyup", keysUp, true);
    const resizes = new ResizeObserver(() => this.drawRail());
    resizes.observe(this.rail);
    this.undo = [
      time.subscribe(() => this.showStep()),
      time.onPlayChange(() => this.showPlay()),
      films.onChange(() => this.showLoaded()),
      () => resizes.disconnect(),
      () => document.removeEventListener("keydown", keys, true),
      () => document.removeEventListener("keydown", keys),
      () => document.removeEventListener("keyup", keysUp, true),
    ];
    this.showPlay();
    this.showStep();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.play = button("timeline-button", drawIcon("play"), "Play (space)", () => toggle());
    this.loop = button("timeline-button", drawIcon("loop"), "Start again at the end", () => (time.loop = !time.loop));
    this.speed = element(
      "select",
      { class: "timeline-speed", title: "Checkpoints per second while playing; every one is shown", "aria-label": "Speed" },
      SPEEDS.map((speed) => element("option", { value: speed, selected: speed === time.speed }, [`${speed}/s`])),
    );
    this.speed.addEventListener("change", () => (time.speed = Number(this.speed.value)));
    this.range = element("input", {
      id: "time-slider", class: "timeline-range", type: "range", min: 0, max: 0, step: 1, value: 0,
      title: "The moment of training (← →, with Shift by ten, Home, End)", "aria-label": "Moment of training",
    }); // prettier-ignore
    this.range.addEventListener("pointerdown", () => time.hold());
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      this.range.addEventListener(end, () => time.release());
    }
    this.range.addEventListener("input", () => {
      time.pause();
      time.request(Number(this.range.value));
    });
    this.rail = element("svg:svg", { class: "timeline-rail", "aria-hidden": "true", height: 44 });
    this.readout = element("output", { class: "timeline-readout", for: "time-slider" });
    this.jump = element("input", {
      class: "timeline-jump", type: "text", inputmode: "numeric", placeholder: "go to step", autocomplete: "off",
      title: "Type a step and press Enter; the nearest checkpoint is shown", "aria-label": "Go to step",
    }); // prettier-ignore
    this.jump.addEventListener("keydown", (event) => jumpKeys(this, event));
    this.status = element("span", { class: "timeline-status", role: "status" });
    this.broken = element("ul", { class: "timeline-broken", "aria-label": "Checkpoints that cannot be read" });
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Timeline");
    this.root.append(
      element("div", { class: "timeline-controls" }, [
        button("timeline-button", drawIcon("first"), "First checkpoint (Home)", () => go(0)),
        button("timeline-button", drawIcon("back"), "One checkpoint back (←)", () => go(time.index - 1)),
        this.play,
        button("timeline-button", drawIcon("on"), "One checkpoint on (→)", () => go(time.index + 1)),
        button("timeline-button", drawIcon("last"), "Last checkpoint (End)", () => go(time.count - 1)),
        this.loop,
        this.speed,
      ]),
      element("div", { class: "timeline-track" }, [this.rail, this.range]),
      element("div", { class: "timeline-words" }, [this.readout, this.status, this.jump]),
      this.broken,
    );
  }

  // ------------------------------------------------------------------------------------------------------ shown

  /** The checkpoint that is current; every frame. */
  showStep() {
    const checkpoint = time.checkpoint;
    if (!checkpoint) return;
    if (this.range.value !== String(time.index)) this.range.value = String(time.index);
    this.range.setAttribute("aria-valuetext", inWords(checkpoint));
    this.range.style.setProperty("--share", String(time.count > 1 ? time.index / (time.count - 1) : 0));
    this.readout.textContent = readoutOf(time.index);
    if (this.saidAt !== undefined && this.saidAt !== time.index) this.say("");
    if (checkpoint.problem && !time.waiting) this.say(`✕ ${checkpoint.problem}`, true);
  }

  /** Playing, waiting, speed, loop, and which checkpoints there are. */
  showPlay() {
    const title = time.playing ? "Pause (space)" : "Play (space)";
    if (this.play.title !== title) {
      this.play.title = title;
      this.play.setAttribute("aria-label", time.playing ? "Pause" : "Play");
      this.play.replaceChildren(drawIcon(time.playing ? "pause" : "play"));
    }
    this.loop.setAttribute("aria-pressed", time.loop);
    if (this.speed.value !== String(time.speed)) this.speed.value = String(time.speed);
    if (this.checkpoints !== time.checkpoints) {
      this.checkpoints = time.checkpoints;
      this.range.max = String(Math.max(0, time.count - 1));
      this.range.disabled = time.count < 2;
      this.keepRoom();
      this.drawRail();
      this.showStep();
    }
    if (time.waiting) this.say(time.waiting);
    else if (this.status.dataset.waiting) this.say("");
    this.status.toggleAttribute("data-waiting", Boolean(time.waiting));
  }

  /** Room for the longest readout: the slider must not change its width under the hand that drags it. */
  keepRoom() {
    const readouts = time.checkpoints.map((_, index) => readoutOf(index));
    const longest = readouts.reduce((most, text) => (text.length > most.length ? text : most), "");
    this.readout.style.minWidth = "";
    this.readout.textContent = longest.replace(/\d/g, "0");
    this.readout.style.minWidth = `${Math.ceil(this.readout.getBoundingClientRect().width)}px`;
  }

  say(text, isTrouble = false) {
    this.saidAt = text ? time.index : undefined;
    write(this.status, text);
    this.status.title = text;
    this.status.classList.toggle("timeline-trouble", isTrouble);
  }

  // ------------------------------------------------------------------------------------------------------- rail

  /** Position of a checkpoint along the rail, in pixels: where the middle of the thumb stands. */
  along(index) {
    const { count } = time;
    return THUMB_PX / 2 + (count > 1 ? index / (count - 1) : 0) * (this.width - THUMB_PX);
  }

  /** Ticks, labels and crosses; when checkpoints or width change, never while time moves. */
  drawRail() {
    this.width = this.rail.getBoundingClientRect().width;
    if (!this.width || !time.count) return;
    const list = time.checkpoints;
    const end = list.length - 1;
    const x = (index) => Math.round(this.along(index)) + 0.5;
    const every = spacing(list.length, (this.width - THUMB_PX) / LABEL_PX);
    const labelled = [end];
    for (let index = 0; index < end; index += every) if (x(end) - x(index) >= LABEL_PX || index === 0) labelled.push(index);
    const band = list.length > MOST_TICKS;
    const ticks = band ? labelled : list.map((_, index) => index);
    const tick = (index) => `M${x(index)} 21v${labelled.includes(index) ? 7 : 4}`;
    this.loadedPath = element("svg:path", { class: "timeline-loaded", d: "" });
    const broken = list.flatMap((checkpoint, index) => (checkpoint.problem ? [index] : []));
    this.rail.replaceChildren(
      element("svg:path", { class: "timeline-line", d: `M${x(0)} 12H${x(end)}` }),
      this.loadedPath,
      element("svg:path", { class: "timeline-band", d: band ? `M${x(0)} 23H${x(end)}` : "" }),
      element("svg:path", { class: "timeline-ticks", d: ticks.map(tick).join("") }),
      ...labelled.map((index) => label(list, index, x(index), index === 0 ? "start" : index === end ? "end" : "middle")),
      ...broken.map((index) => cross(list[index], x(index))),
      (this.troubles = element("svg:g", { class: "timeline-troubles" })),
    );
    this.markedSteps = "";
    this.broken.replaceChildren(...broken.map((index) => element("li", {}, [inWords(list[index])])));
    this.showLoaded();
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
    const x = Math.round(this.along(index)) + 0.5;
    return element("svg:path", { class: `timeline-trouble-mark timeline-${name}`, "data-step": checkpoint.step, d: `M${x} 18${shape}` }, [
      element("svg:title", {}, [`step ${stepName(checkpoint)}: ${words}`]),
    ]);
  }

  /** On the track, quietly, what need not be waited for. */
  showLoaded() {
    if (!this.loadedPath) return;
    this.showTroubles();
    const inView = films.inView();
    let path = "";
    let from = -1;
    const half = time.count > 1 ? (this.width - THUMB_PX) / (time.count - 1) / 2 : 0;
    for (let index = 0; index <= time.count; index += 1) {
      const here = index < time.count && inView.count > 0 && inView.has(time.checkpoints[index].step);
      if (here && from < 0) from = index;
      if (!here && from >= 0) {
        const [left, right] = [Math.max(this.along(0), this.along(from) - half), this.along(index - 1) + half];
        path += `M${left.toFixed(1)} 12H${Math.min(right, this.along(time.count - 1)).toFixed(1)}`;
        from = -1;
      }
    }
    this.loadedPath.setAttribute("d", path);
  }

  // ------------------------------------------------------------------------------------------------------- keys

  /** Time's keys, before anybody else hears of them; of what has keys of its own, those that it left alone. */
  key(event) {
    const isFirst = event.eventPhase === Event.CAPTURING_PHASE;
    if (isFirst) this.tookSpace = false;
    if (!time.count || event.defaultPrevented || whose(event, this.range) !== (isFirst ? "time" : "focus first")) return;
    if (!timeKeys(this, event)) return;
    this.tookSpace = event.key === " ";
    event.stopPropagation();
  }

  /** A button is pressed where Space is let go. */
  keyUp(event) {
    if (event.key === " " && this.tookSpace) event.preventDefault();
  }

  goToTyped() {
    const text = this.jump.value.replace(/[\s,']/g, "");
    const labelled = time.checkpoints.find((checkpoint) => checkpoint.label && checkpoint.label === text);
    const wanted = labelled ? labelled.step : Number(text);
    if (!text || !Number.isFinite(wanted)) {
      this.say(`Enter a step number, for example ${time.checkpoints.at(-1).step}.`, true);
      return;
    }
    time.pause();
    const reached = time.requestStep(wanted);
    this.jump.value = "";
    this.say(reached === wanted ? "" : `There is no step ${grouped(wanted)}; showing the nearest.`);
  }
}

function readoutOf(index) {
  const checkpoint = time.checkpoints[index];
  const epoch = isKnown(checkpoint.epoch) ? `epoch ${short(checkpoint.epoch)}` : "";
  return [`step ${stepName(checkpoint)}`, epoch, `checkpoint ${grouped(index + 1)} of ${grouped(time.count)}`].filter(Boolean).join(" · ");
}

function toggle() {
  if (time.playing) time.pause();
  else time.play();
}

function move(by) {
  go(time.index + by);
}

function go(index) {
  time.pause();
  time.request(index);
}

/** Every how many checkpoints a label fits: 1, 2, 5, 10, 20 ... */
function spacing(count, room) {
  for (let size = 1; ; size *= 10) {
    for (const factor of [1, 2, 5]) if ((count - 1) / (size * factor) <= Math.max(1, room)) return size * factor;
  }
}

function label(list, index, x, anchor) {
  const at = anchor === "start" ? x - THUMB_PX / 2 : anchor === "end" ? x + THUMB_PX / 2 : x;
  return element("svg:text", { class: "timeline-label", x: at, y: 40, "text-anchor": anchor }, [stepName(list[index])]);
}

function cross(checkpoint, x) {
  return element("svg:g", { class: "timeline-cross", "data-step": checkpoint.step }, [
    element("svg:title", {}, [inWords(checkpoint)]),
    element("svg:rect", { x: x - 6, y: 17, width: 12, height: 13 }),
    element("svg:path", { d: `M${x - 3} 20l6 6m0-6l-6 6` }),
  ]);
}

function drawIcon(name) {
  return element("svg:svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, [
    element("svg:path", { d: ICONS[name], fill: "currentColor" }),
  ]);
}

/** The React component behind components/browser_parts.py. */
export const TimeSlider = component("timeline", Timeline);
