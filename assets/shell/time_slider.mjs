/**
 * The timeline: the component TimeSlider. A native range input whose stops are all checkpoints, a rail below it that
 * shows them, the training curve behind both, and play, speed, loop, jump and spacing. It owns nothing: it asks the time bus and
 * shows what the bus says.
 */
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { kept } from "mloscope/base/kept.mjs";
import { keyTable, whose } from "mloscope/base/keys.mjs";
import { grouped, stepName } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { films } from "mloscope/films/films.mjs";
import { inWords, isKnown, shortEpoch } from "mloscope/shell/checkpoint_words.mjs";
import { spacing, SPACINGS } from "mloscope/shell/spacing.mjs";
import { TimeRail } from "mloscope/shell/time_rail.mjs";
import { TrainingCurve } from "mloscope/shell/training_curve.mjs";

const SPEED = "mloscope-speed"; // what the browser keeps
const LOOP = "mloscope-loop";
const SPEEDS = [2, 5, 10, 25, 60];
const FAR = 10;

const ICONS = {
  play: "M4 2.5v11l9.5-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  first: "M3 2.5h2v11H3zM13.5 2.5v11L6 8z",
  back: "M11.5 2.5v11L4 8z",
  on: "M4.5 2.5v11L12 8z",
  last: "M11 2.5h2v11h-2zM2.5 2.5v11L10 8z",
  loop: "M4 5h7.2l-1.6-1.6L10.7 2.3 14.2 5.8l-3.5 3.5-1.1-1.1L11.2 6.5H5.5v3H4zM12 11H4.8l1.6 1.6-1.1 1.1-3.5-3.5 3.5-3.5 1.1 1.1L4.8 9.5h5.7v-3H12z",
};

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
  /** @type {TimeRail} */ rail;
  /** @type {TrainingCurve} */ curve;
  /** @type {HTMLSelectElement} */ spacing;
  /** @type {HTMLSpanElement} */ legend;
  /** @type {HTMLOutputElement} */ readout;
  /** @type {HTMLInputElement} */ jump;
  /** @type {HTMLSpanElement} */ status;
  /** @type {HTMLUListElement} */ broken;
  /** @type {any} */ checkpoints;
  /** @type {boolean} */ tookSpace;
  /** @type {any} */ saidAt;

  constructor(root) {
    this.root = root;
    this.build();
    const keys = (event) => this.key(event);
    const keysUp = (event) => this.keyUp(event);
    document.addEventListener("keydown", keys, true);
    document.addEventListener("keydown", keys);
    document.addEventListener("keyup", keysUp, true);
    const resizes = new ResizeObserver(() => this.drawRail());
    resizes.observe(this.rail.root);
    this.undo = [
      () => this.curve.destroy(),
      spacing.onChange(() => this.showSpacing()),
      time.subscribe(() => this.showStep()),
      time.onPlayChange(() => this.showPlay()),
      films.onChange(() => this.rail.showLoaded()),
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
    recallPlaying();
    this.play = button("timeline-button", drawIcon("play"), "Play (space)", () => toggle());
    this.loop = button("timeline-button", drawIcon("loop"), "Start again at the end", () => {
      time.loop = !time.loop;
      kept.set(LOOP, String(time.loop));
    });
    this.speed = element(
      "select",
      { class: "timeline-speed", title: "Checkpoints per second while playing; every one is shown", "aria-label": "Speed" },
      SPEEDS.map((speed) => element("option", { value: speed, selected: speed === time.speed }, [`${speed}/s`])),
    );
    this.speed.addEventListener("change", () => {
      time.speed = Number(this.speed.value);
      kept.set(SPEED, this.speed.value);
    });
    this.buildTrack();
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
        element("div", { class: "timeline-about" }, [this.spacing, this.legend]),
      ]),
      element("div", { class: "timeline-track" }, [this.curve.root, this.rail.root, this.range]),
      element("div", { class: "timeline-words" }, [this.readout, this.status, this.jump]),
      this.broken,
    );
  }

  /** The slider, what lies along it and behind it, and how far apart its stops are. */
  buildTrack() {
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
      time.request(spacing.indexAt(Number(this.range.value)));
      this.range.value = String(spacing.valueOf(time.index));
    });
    this.curve = new TrainingCurve(() => this.showLegend());
    this.rail = new TimeRail();
    this.spacing = element(
      "select",
      { class: "timeline-spacing", title: "How checkpoints lie along the slider", "aria-label": "Spacing of steps" },
      Object.entries(SPACINGS).map(([value, text]) => element("option", { value, selected: value === spacing.kind }, [text])),
    );
    this.spacing.addEventListener("change", () => spacing.choose(this.spacing.value));
    this.legend = element("span", { class: "timeline-legend" });
  }

  // ------------------------------------------------------------------------------------------------------ shown

  /** The checkpoint that is current; every frame. */
  showStep() {
    const checkpoint = time.checkpoint;
    if (!checkpoint) return;
    const value = String(spacing.valueOf(time.index));
    if (this.range.value !== value) this.range.value = value;
    this.range.setAttribute("aria-valuetext", inWords(checkpoint));
    this.range.style.setProperty("--share", String(spacing.shareOf(time.index)));
    this.showLegend();
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
      this.range.disabled = time.count < 2;
      this.keepRoom();
      this.showSpacing();
    }
    if (time.waiting) this.say(time.waiting);
    else if (this.status.dataset.waiting) this.say("");
    this.status.toggleAttribute("data-waiting", Boolean(time.waiting));
  }

  /** Where the stops lie: other checkpoints, or another spacing. */
  showSpacing() {
    if (this.spacing.value !== spacing.kind) this.spacing.value = spacing.kind;
    [this.range.min, this.range.max] = spacing.ends().map(String);
    this.drawRail();
    this.showStep();
  }

  /** What is seen along the track; when checkpoints, spacing or width change, never while time moves. */
  drawRail() {
    this.rail.draw();
    this.curve.draw();
    const broken = time.checkpoints.filter((checkpoint) => checkpoint.problem);
    this.broken.replaceChildren(...broken.map((checkpoint) => element("li", {}, [inWords(checkpoint)])));
  }

  /** What the curve behind the slider is, its range, and its value at this moment; every frame. */
  showLegend() {
    write(this.legend, this.curve.inWords(time.step));
    this.legend.title = this.curve.about();
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
  const epoch = isKnown(checkpoint.epoch) ? `epoch ${shortEpoch(checkpoint.epoch)}` : "";
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

function drawIcon(name) {
  return element("svg:svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, [
    element("svg:path", { d: ICONS[name], fill: "currentColor" }),
  ]);
}

/** How fast it plays, and whether again from the start, as it was left. */
function recallPlaying() {
  const speed = Number(kept.get(SPEED));
  if (SPEEDS.includes(speed)) time.speed = speed;
  if (kept.get(LOOP) !== null) time.loop = kept.get(LOOP) === "true";
}

/** The React component behind components/browser_parts.py. */
export const TimeSlider = component("timeline", Timeline);
