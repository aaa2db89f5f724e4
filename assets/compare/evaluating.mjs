/** Statistics of the sides whose accuracy is not known, computed from where they are missed. `evaluating`. */
import { notice } from "mloscope/base/notices.mjs";
import { subject, whyNoPredictions } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { statistics } from "mloscope/statistics/statistics.mjs";

const AT_WORK = new Set(["starting", "running", "paused"]);
/** @type {Set<string>} runs whose statistics are being computed for this page */
const pending = new Set();

/** Subjects whose accuracy would help, and can be had. */
function wanted() {
  const lacking = compare.withoutAccuracy().map((side) => (side === "a" ? subject : compare.subject));
  const able = lacking.filter((side) => side && subject.corpus && whyNoPredictions(side) === null);
  return [...new Map(able.map((side) => [side.run, side])).values()];
}

async function evaluate({ run }) {
  const shared = statistics.open({ run, corpus: subject.corpus }, view.get().split);
  pending.add(run);
  try {
    await shared.job("start");
  } catch (error) {
    pending.delete(run);
    notice(error.message);
    return;
  }
  const stop = shared.subscribe(() => {
    const job = shared.overview && shared.overview.job;
    if (!shared.overview || (job && AT_WORK.has(job.state))) return;
    stop();
    pending.delete(run);
    compare.reread();
  });
}

export const evaluating = {
  /** What the button says; "" where nothing is to be offered. */
  offer() {
    if (compare.align !== "accuracy" || !["same", "lag"].includes(compare.follow)) return "";
    const runs = wanted().map(({ run }) => run);
    if (!runs.length) return "";
    return runs.some((run) => pending.has(run)) ? "Evaluating …" : "Evaluate now";
  },

  start() {
    for (const side of wanted()) if (!pending.has(side.run)) evaluate(side);
  },
};
