/** What films on the main display are about: the subject at the time bus's step. Comparisons have other sides (assets/compare/sides.mjs). */
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { films } from "mloscope/films/films.mjs";

const IN_BOTH = ["parameters", "features"]; // side by side on the main display

/** What a film shows on the main display: the subject at the time bus's step. */
export const MAIN = {
  subject: () => subject,
  view: () => view.get(),
  step: () => time.step,
  stepAt: (index) => time.checkpoints[index].step,
  isShown: (film) => {
    const { mode } = view.get();
    return mode === film.show || ((mode === "both" || mode === undefined) && IN_BOTH.includes(film.show));
  },
  wanted(film) {
    const { url, empty } = film.wantedUrl();
    return { key: url, empty, open: () => films.open(`${url}&near=${time.step}`) };
  },
  /** What the ends of the scale are made of: [lo, hi] or null over time, at this step, of a unit at this step. */
  spans: (film) => ({
    fixed: () => film.film.range(),
    step: () => film.frame && film.frame.layerRange,
    unit: (unit) => film.frame && film.frame.unitRanges.subarray(unit * 2, unit * 2 + 2),
    exploded: () => [[film.film.exploded(), time.step]],
  }),
  legend: () => ({}),
  selected: (header) => header.units.indexOf(view.get().unit),
  select: (header, place) => view.set({ unit: header.units[place] }),
};
