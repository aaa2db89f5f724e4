/**
 * What the network takes the selected image for at the step of the time bus: the component PredictionBars.
 *
 * All steps come in one stream; moving through them asks for nothing. data-step and data-state on the root say whose bars
 * these are: ready, pending or missing.
 */
import { api } from "mloscope/base/addresses.mjs";
import { component, element, write } from "mloscope/base/dom.mjs";
import { grouped, percent } from "mloscope/base/numbers.mjs";
import { onOpen, outputOf, subject, whyNoPredictions } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { PredictionCourse } from "mloscope/images/prediction_course.mjs";
import { ProbabilityRows } from "mloscope/images/probability_rows.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const MOST_ROWS = 12; // more classes than this: the likeliest, and the true one
const LIKELIEST = 10;

export class Bars {
  /** Fields of the view that choose the image. @type {string[]} */ keys = ["image"];
  /** @type {HTMLParagraphElement} */ kind;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {any} */ trueClass;
  /** @type {any} */ anew;
  /** @type {any} */ asking;
  /** @type {any} */ empty;

  constructor(root) {
    this.root = root;
    this.rows = new ProbabilityRows();
    this.trueClass = null; // the output that stands for the image's class
    this.course = new PredictionCourse(() => this.draw());
    this.build();
    this.undo = [
      time.subscribe(() => this.draw()),
      view.subscribe((now, changed) => changed.some((key) => this.keys.includes(key)) && this.later()),
      onOpen((subject, isNew) => this.later(isNew)),
      time.addGate(
        (index) => this.gate(index),
        () => `waiting for predictions: ${this.course.came} of ${time.count} came`,
      ),
      () => this.course.close(),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.kind = element("p", { class: "predictions-kind", hidden: true });
    this.message = element("p", { class: "predictions-message", role: "status", hidden: true });
    this.root.append(this.rows.list, this.kind, this.message);
  }

  // --------------------------------------------------------------------------------------------------- questions

  reasonForNothing(subject, image) {
    if (!subject) return "";
    if (!subject.corpus) return "No images are connected. Start mloscope with --images PATH to see predictions.";
    const reason = whyNoPredictions(subject);
    if (reason) return reason;
    return image ? null : "Select an image to see what the network takes it for.";
  }

  /** The image that is asked for, and the one whose record says the true class; null where none does. */
  image() {
    const { image } = view.get();
    return { asked: image, record: image };
  }

  /** Opening a subject changes the view as well: one question for both. */
  later(anew = false) {
    this.anew = this.anew || anew;
    if (this.asking) return;
    this.asking = true;
    queueMicrotask(() => {
      this.asking = false;
      if (this.root.isConnected) this.ask(this.anew);
      this.anew = false;
    });
  }

  /** Ask for the selected image at every step, unless that is already here or on its way. */
  ask(anew) {
    const { asked: image, record } = this.image();
    this.empty = this.reasonForNothing(subject, image);
    const query = { corpus: subject && subject.corpus, stream: "true" };
    const key = this.empty === null ? api(["runs", subject.run, "predictions", image], query) : null;
    if (key === this.course.address && !anew) return;
    this.course.close();
    this.trueClass = null;
    this.course.open(key, time.step);
    this.draw();
    if (key === null || !record) return;
    imageRecords
      .record(subject.corpus, record)
      .then((known) => {
        if (this.course.address !== key || !known) return;
        this.trueClass = outputOf(subject, known.label);
        this.draw();
      })
      .catch(() => {}); // the image grid says what is wrong with the image; bars do without the true class
  }

  gate(index) {
    const { course } = this;
    if (!course.address || !this.root.isConnected) return true;
    const { step } = time.checkpoints[index];
    if (course.probabilities.has(step)) return true;
    return course.error || course.reasons.has(step) ? "missing" : false;
  }

  // ------------------------------------------------------------------------------------------------------- bars

  /** Bars of the wanted step, or the reason why there are none. */
  draw() {
    const { step } = time;
    const { kind, error } = this.course;
    const row = this.course.probabilities.get(step);
    const reason = this.course.reasons.get(step);
    const state = row ? "ready" : this.empty !== null || reason || error ? "missing" : "pending";
    this.root.dataset.state = state;
    if (state === "pending" || step === null || this.empty !== null) this.root.removeAttribute("data-step");
    else this.root.dataset.step = step;
    const said = row ? "" : (this.empty ?? (reason ? `Step ${grouped(step)} is missing: ${reason}` : (error ?? "evaluating")));
    write(this.kind, kind === "output" ? "" : kind);
    this.kind.hidden = !this.kind.textContent;
    write(this.message, said);
    this.message.hidden = !said;
    this.rows.list.hidden = this.empty !== null || (!row && !this.rows.count);
    if (row) this.fill(row);
    else this.rows.empty();
  }

  /** Numbers that are none come as null in JSON; a network that gives one predicts nothing. */
  fill(answer) {
    const probabilities = answer.map((probability) => probability ?? NaN);
    const decides = probabilities.every(Number.isFinite);
    const names = subject.classNames || [];
    const value = (index) => (Number.isFinite(probabilities[index]) ? probabilities[index] : -1);
    const all = probabilities.map((_, index) => index);
    const best = all.reduce((most, index) => (value(index) > value(most) ? index : most), 0);
    let shown = all;
    if (all.length > MOST_ROWS) {
      shown = [...all].sort((a, b) => value(b) - value(a)).slice(0, LIKELIEST);
      const { trueClass } = this;
      if (trueClass !== null && trueClass < all.length && !shown.includes(trueClass)) shown.push(trueClass);
    }
    this.rows.show(
      shown.map((index) => ({
        name: names[index] || `output ${index}`,
        probability: probabilities[index],
        isPredicted: decides && index === best,
        isTrue: index === this.trueClass,
      })),
      this.trueClass !== null,
    );
    const summary = decides ? `${names[best] || `output ${best}`} ${percent(probabilities[best])}` : "nothing, some values are NaN";
    this.rows.list.setAttribute("aria-label", `Predicted: ${summary}`);
  }
}

/** The React component behind components/browser_parts.py. */
export const PredictionBars = component("predictions", Bars);
