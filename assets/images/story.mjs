/**
 * What became of one image over training: since when it has been right or wrong, its course, the likeliest classes, more images like it.
 * Made of the statistics' predictions, requested once per image; moving time requests nothing.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { element, follow, write } from "mloscope/base/dom.mjs";
import { counted, grouped } from "mloscope/base/numbers.mjs";
import { Spark } from "mloscope/base/spark.mjs";
import { onOpen, subject, whyNoPredictions } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { ProbabilityRows } from "mloscope/images/probability_rows.mjs";
import { trajectories } from "mloscope/images/trajectories.mjs";
import { likeliest, sinceWhen, verdicts } from "mloscope/images/verdicts.mjs";

/** @typedef {import("mloscope/images/verdicts.mjs").Trajectory} Trajectory */

const LISTED = 5;
const LOOK_AGAIN_MS = 4000; // for steps that are being evaluated

/** A name of a network's output. @param {number | null} output */
const nameOf = (output) => (output === null ? "nothing" : (subject.classNames || [])[output] || `output ${output}`);

export class ImageStory {
  /** @type {string | null} */ #image = null;
  /** @type {string} */ #split = "";
  /** @type {Trajectory | null} */ #trajectory = null;
  /** @type {string | null} */ #error = null;
  /** @type {(import("mloscope/images/verdicts.mjs").Verdict | null)[]} */ #verdicts = [];
  #askedAt = 0;

  /** @param {HTMLElement} root @param {{isListed: boolean}} options whether the likeliest classes are listed */
  constructor(root, { isListed }) {
    this.root = root;
    this.isListed = isListed;
    this.since = element("p", { class: "story-since", role: "status" });
    this.spark = new Spark();
    this.rows = new ProbabilityRows();
    this.caption = element("p", { class: "story-caption" });
    this.evaluate = element("a", { class: "story-link", href: mountedAt("/confusion"), "data-page": "confusion" }, [
      "Evaluate on the Confusion page",
    ]);
    this.like = element("a", { class: "story-link", href: mountedAt("/confusion") });
    root.append(this.since, this.evaluate, this.rows.list, this.spark.node, this.caption, this.like);
    this.like.addEventListener("click", (event) => follow(event, () => view.go(this.#addressOfCell())));
    this.undo = [time.subscribe(() => this.#move()), time.onSettled(() => this.#lookAgain()), onOpen((_, isNew) => isNew && this.#ask())];
    this.#draw();
  }

  destroy() {
    this.undo.forEach((undoOne) => undoOne());
    this.#image = null;
    this.root.replaceChildren();
  }

  /** Tell of an image. @param {string | null} image @param {string} [split] of the image, as far as it is known */
  show(image, split = "") {
    this.#split = split || (image === this.#image ? this.#split : "");
    if (image === this.#image) return;
    this.#image = image;
    this.#ask();
  }

  /** What the image is predicted as at this step: output, null for no class; undefined where that is not known. */
  get predicted() {
    const now = this.#verdicts[time.index];
    return now ? now.predicted : undefined;
  }

  async #ask() {
    const image = this.#image;
    const about = subject;
    this.#trajectory = this.#error = null;
    this.#askedAt = performance.now();
    this.#draw();
    if (!image || !about || !about.corpus) return;
    const isStill = () => image === this.#image && about === subject;
    try {
      const trajectory = await trajectories.of(about, image);
      if (isStill()) this.#trajectory = trajectory;
    } catch (error) {
      if (isStill()) this.#error = error.message;
    }
    if (isStill()) this.#draw();
  }

  /** A step that had not been evaluated may be by now. */
  #lookAgain() {
    this.like.href = this.#addressOfCell();
    if (!this.#image || this.#verdicts[time.index] || performance.now() - this.#askedAt < LOOK_AGAIN_MS) return;
    if (whyNoPredictions(subject)) return;
    trajectories.forget(subject, this.#image);
    this.#ask();
  }

  #draw() {
    const trajectory = this.#trajectory;
    const { checkpoints } = time;
    this.#verdicts = trajectory ? verdicts(trajectory, checkpoints) : [];
    const known = this.#verdicts.filter(Boolean);
    const right = known.filter((verdict) => verdict && verdict.is === "right").length;
    const isJudged = Boolean(trajectory) && /** @type {Trajectory} */ (trajectory).label !== null;
    this.spark.node.hidden = this.caption.hidden = !known.length || !isJudged;
    if (trajectory && isJudged && known.length) {
      const places = new Map(trajectory.steps.map((step, place) => [step, place]));
      const ofTrue = checkpoints.map(({ step }) => trajectory.true_probability[places.get(step) ?? -1] ?? null);
      const marks = this.#verdicts.map((verdict) => (verdict && verdict.is !== "unjudged" ? verdict.is : null));
      const share = `right at ${grouped(right)} of ${counted(known.length, "evaluated step")}`;
      this.spark.draw(ofTrue, 1, `Probability of the true class over all steps; ${share}`, marks);
      write(this.caption, `Probability of the true class; marks: ${share}`);
    }
    this.#move();
    this.like.href = this.#addressOfCell();
  }

  /** Every frame. */
  #move() {
    const { step, index, checkpoints } = time;
    const trajectory = this.#trajectory;
    const now = this.#verdicts[index];
    this.root.hidden = !this.#image || !subject || !subject.corpus;
    this.root.toggleAttribute("data-pending", !trajectory && !this.#error);
    this.root.dataset.is = now ? now.is : "";
    write(this.since, now ? sinceWhen(this.#verdicts, checkpoints, index, nameOf) : this.#whyNot());
    this.evaluate.hidden = Boolean(now) || !trajectory || Boolean(subject && whyNoPredictions(subject));
    this.like.hidden = !now || now.is === "unjudged";
    if (now && trajectory && now.is !== "unjudged") {
      const cell =
        now.is === "right" ? `“${nameOf(trajectory.label)}”, right` : `“${nameOf(trajectory.label)}” → “${nameOf(now.predicted)}”`;
      write(this.like, `More like this: ${cell}`);
    }
    const found = this.isListed && trajectory && step !== null ? likeliest(trajectory, step, LISTED) : null;
    this.rows.list.hidden = !found;
    if (found && trajectory) this.#list(found, trajectory.label);
    this.spark.move();
  }

  #list(found, label) {
    const rows = found.map(({ output, probability }) => ({
      name: nameOf(output),
      probability,
      isPredicted: output === this.predicted,
      isTrue: output === label,
    }));
    this.rows.show(rows, label !== null);
  }

  /** Why nothing is said of this step. */
  #whyNot() {
    if (this.#error || !this.#trajectory) return this.#error || "…";
    const refusal = whyNoPredictions(subject);
    if (refusal) return refusal;
    const which = this.#trajectory.steps.length ? `Step ${grouped(time.step || 0)}` : subject.run;
    return `${which} has not been evaluated on these images yet, so it is not known since when this one is right or wrong.`;
  }

  /** The address of the cell of the confusion matrix in which the image stands at this step. */
  #addressOfCell() {
    const { split } = view.get();
    const trajectory = this.#trajectory;
    const { predicted } = this;
    const path = mountedAt("/confusion");
    if (!trajectory || predicted === undefined) return view.address(path);
    const isOther = this.#split && (split || "test") !== this.#split; // without a choice, "test" is shown where there is one
    return view.address(path, subject, {
      actual: trajectory.label,
      predicted: predicted ?? (subject.classNames || []).length,
      "cell-offset": 0,
      split: isOther ? this.#split : split,
    });
  }
}
