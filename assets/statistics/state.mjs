/**
 * What has no statistics yet, and how to get them: the component StatisticsState, on every page that shows statistics.
 *
 * data-state on the root: loading, failed, empty (nothing is ready: the page has nothing else to show), partial, complete. A job's
 * progress stands here, with the buttons that start, pause, resume and cancel it. Nothing is offered that is known to fail.
 */
import { copied, sayCopied } from "mloscope/base/clipboard.mjs";
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { counted, duration, grouped } from "mloscope/base/numbers.mjs";
import { subject, whyNoPredictions } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { statistics } from "mloscope/statistics/statistics.mjs";

const BASIS = ".basis-button"; // assets/basis/line.mjs
const ACTIONS = {
  start: ["Evaluate now", "Evaluate the network on every image at each checkpoint that has not been evaluated yet"],
  pause: ["Pause", "Finish the current work, then wait; finished work is kept"],
  resume: ["Resume", "Continue where it was paused"],
  cancel: ["Cancel", "Stop; finished work is kept, and the next start continues from there"],
};
const ALONE = new Set(["loading", "failed", "empty"]); // the page has nothing else to show
const OFFERED = { starting: ["cancel"], running: ["pause", "cancel"], paused: ["resume", "cancel"] };

class State {
  /** @type {HTMLParagraphElement} */ sentence;
  /** @type {HTMLParagraphElement} */ more;
  /** @type {HTMLElement} */ code;
  /** @type {any} */ copy;
  /** @type {HTMLDivElement} */ command;
  /** @type {HTMLProgressElement} */ meter;
  /** @type {HTMLSpanElement} */ progress;
  /** @type {any} */ buttons;
  /** @type {any} */ retry;
  /** @type {HTMLDivElement} */ work;
  /** @type {HTMLParagraphElement} */ trouble;
  /** @type {HTMLButtonElement} */ naming;
  /** @type {any} */ statistics;
  /** @type {any} */ copied;

  /** @param {HTMLElement} root @param {{needs?: string}} props needs "classes": outputs matched with the corpus's classes */
  constructor(root, { needs = "" }) {
    this.root = root;
    this.needsClasses = needs === "classes";
    this.problem = null; // what the server said to the last button
    this.mayReorder = true;
    this.build();
    this.undo = [
      statistics.follow((statistics) => this.show(statistics)),
      time.onSettled(() => this.reorder()),
      () => clearTimeout(this.copied),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.sentence = element("p", { class: "statistics-sentence", role: "status" });
    this.more = element("p", { class: "statistics-more" });
    this.code = element("code", { class: "statistics-code", tabindex: 0 });
    this.copy = button("statistics-button", "Copy", "Copy the command", () => this.copyCommand());
    this.command = element("div", { class: "statistics-command" }, [this.code, this.copy]);
    this.meter = element("progress", { class: "statistics-meter", max: 1, "aria-label": "Progress of the statistics" });
    this.progress = element("span", { class: "statistics-progress" });
    this.buttons = Object.fromEntries(
      Object.entries(ACTIONS).map(([action, [text, title]]) => [action, button("statistics-button", text, title, () => this.act(action))]),
    );
    this.retry = button("statistics-button", "Try again", "Send the request again", () => this.statistics.reread());
    this.naming = button("statistics-button", "Name the outputs", "Open what the numbers rest on, where outputs can be named", openBasis);
    this.work = element("div", { class: "statistics-work" }, [
      this.meter, this.progress, ...Object.values(this.buttons), this.naming, this.retry,
    ]); // prettier-ignore
    this.trouble = element("p", { class: "statistics-trouble", role: "alert" });
    this.root.append(this.sentence, this.more, this.work, this.command, this.trouble);
  }

  show(statistics) {
    if (statistics !== this.statistics) this.problem = null;
    this.statistics = statistics;
    const { overview, error } = statistics;
    const total = time.checkpoints.length;
    const ready = time.checkpoints.filter(({ step }) => statistics.keys.has(step)).length;
    const job = (overview && overview.job) || { state: "none" };
    const atWork = job.state in OFFERED;
    const unmatched = this.needsClasses && !areClassesMatched();
    const state = !overview ? (error ? "failed" : "loading") : !ready || unmatched ? "empty" : ready < total ? "partial" : "complete";
    this.root.dataset.state = state;
    this.root.dataset.job = job.state;
    this.root.hidden = state === "complete" && !atWork && !this.problem && !error;
    this.root.toggleAttribute("data-alone", ALONE.has(state));
    write(this.sentence, unmatched && overview ? this.withoutClasses() : this.words(state, ready, total));
    write(this.more, unmatched ? "" : this.explanation(state, job));
    const cannot = whyNoPredictions(subject);
    const lacking = (state === "empty" || state === "partial") && !unmatched;
    const canStart = lacking && !cannot && statistics.corpus && !atWork;
    for (const [action, node] of Object.entries(this.buttons)) {
      node.hidden = action === "start" ? !canStart : !(OFFERED[job.state] || []).includes(action);
    }
    write(this.buttons.start, state === "partial" ? "Evaluate the rest now" : ACTIONS.start[0]);
    this.naming.hidden = !unmatched || !document.querySelector(BASIS);
    this.retry.hidden = !error;
    this.meter.hidden = this.progress.hidden = !atWork;
    if (atWork) this.showProgress(job, ready, total);
    this.command.hidden = !lacking || atWork || isRefused() || !(overview && overview.command);
    write(this.code, (overview && overview.command) || "");
    const failed = job.state === "failed" ? job.message || "The job failed." : "";
    write(
      this.trouble,
      [this.problem, failed, state === "failed" || !error ? "" : error, lacking && statistics.corpus ? cannot : ""]
        .filter(Boolean)
        .join(" "),
    );
    this.trouble.hidden = !this.trouble.textContent;
  }

  words(state, ready, total) {
    const { overview, run, corpus, error } = this.statistics;
    if (state === "loading") return "Looking for statistics …";
    if (state === "failed") return error;
    if (state === "empty" && !corpus && !(overview && overview.corpus)) {
      return `${run} has not been evaluated yet: no images are connected.`;
    }
    const which = [overview.split, counted(overview.images, "image")].filter(Boolean).join(", ");
    const where = `on ${overview.corpus || "its images"} (${which})`;
    if (state === "empty") return `${run} has not been evaluated ${where} yet.`;
    if (state === "partial") return `${grouped(ready)} of ${grouped(total)} checkpoints have been evaluated ${where}.`;
    return `All ${grouped(total)} checkpoints have been evaluated ${where}.`;
  }

  withoutClasses() {
    const { run, corpus } = this.statistics;
    return `The outputs of ${run} are not matched with the classes of ${corpus}, so predictions cannot be judged right or wrong.`;
  }

  explanation(state, job) {
    if (state !== "empty" || job.state in OFFERED) return "";
    if (!this.statistics.corpus) return "Start mloscope with --images PATH, or import predictions that were computed elsewhere.";
    if (isRefused()) return "Predictions that were computed elsewhere can be imported: mloscope statistics import.";
    const { expected_seconds: seconds } = this.statistics.overview || {};
    const lasts = Number.isFinite(seconds) ? ` (about ${duration(seconds)})` : "";
    const all = time.checkpoints.length === 1 ? "the checkpoint" : `all ${grouped(time.checkpoints.length)} checkpoints`;
    return `This runs ${all} over every image${lasts}. Run it here or from a terminal:`;
  }

  showProgress(job, ready, total) {
    const share = job.of ? job.done / job.of : null;
    if (share === null) this.meter.removeAttribute("value");
    else this.meter.value = share;
    const parts = [
      job.state === "starting" ? "starting" : job.state === "paused" ? "paused" : null,
      `${grouped(ready)} of ${grouped(total)} steps`,
      job.state === "running" && Number.isFinite(job.seconds_left) ? `about ${duration(job.seconds_left)} left` : null,
      job.state === "running" && job.rate ? `${grouped(Math.round(job.rate))} images per second` : null,
      job.step === null || job.step === undefined ? null : `at step ${grouped(job.step)}`,
      job.message || null,
    ];
    write(this.progress, parts.filter((part) => part !== null).join(" · "));
  }

  async act(action) {
    const { statistics } = this;
    for (const node of Object.values(this.buttons)) node.disabled = true;
    this.problem = null;
    try {
      await statistics.job(action);
    } catch (error) {
      this.problem = error.message;
    }
    for (const node of Object.values(this.buttons)) node.disabled = false;
    if (statistics === this.statistics) this.show(statistics);
  }

  /** Time rests elsewhere: what is looked at is computed next. Whoever may not ask for it waits. */
  reorder() {
    const { overview } = this.statistics || {};
    const entry = this.statistics && this.statistics.entry(time.index);
    if (!this.mayReorder || !overview?.job || overview.job.state !== "running" || !entry || entry.state === "ready") return;
    this.statistics.job("reorder").catch(() => (this.mayReorder = false));
  }

  async copyCommand() {
    const range = document.createRange();
    range.selectNodeContents(this.code);
    const selection = /** @type {Selection} */ (window.getSelection());
    selection.removeAllRanges();
    selection.addRange(range);
    if (await copied(this.code.textContent || "")) this.copied = sayCopied(this.copy, "Copy"); // otherwise it stays selected
  }
}

/** Whether the network tells no classes or cannot be evaluated, so that no statistics of it can be computed anywhere. */
const isRefused = () =>
  Boolean((subject.basis && subject.basis.output.refusal) || (subject.evaluation && subject.evaluation.state === "impossible"));

/** Whether images of the corpus can be right or wrong; also where nothing is known of it. */
const areClassesMatched = () =>
  !subject.basis || Boolean(subject.basis.output.refusal) || subject.basis.classes.matched_by !== "not matched";

const openBasis = () => /** @type {HTMLElement} */ (document.querySelector(BASIS)).click();

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, needs?: string}} props
 */
export const StatisticsState = component("statistics-state", State);
