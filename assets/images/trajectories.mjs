/** What statistics say of one image at every step: `trajectories`. Each is requested once, as long as nothing is missing in it. */
import { api } from "mloscope/base/addresses.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { onOpen } from "mloscope/base/subject.mjs";

/** @typedef {import("mloscope/images/verdicts.mjs").Trajectory} Trajectory */

const MOST = 60;
/** @type {Map<string, Promise<Trajectory>>} */
const known = new Map();

export const trajectories = {
  /**
   * @param {{run: string, corpus: string | null}} subject
   * @param {string} image
   * @returns {Promise<Trajectory>} rejects with the server's sentence
   */
  of({ run, corpus }, image) {
    const address = api(["runs", run, "images", image, "trajectory"], { corpus });
    const found = known.get(address) || fetchJson(address);
    known.delete(address); // the last used stands last
    known.set(address, found);
    found.catch(() => known.delete(address));
    if (known.size > MOST) known.delete(known.keys().next().value || "");
    return found;
  },

  /** Forget an image, as where more steps may have been evaluated since. */
  forget({ run, corpus }, image) {
    known.delete(api(["runs", run, "images", image, "trajectory"], { corpus }));
  },
};

onOpen((_, isNew) => isNew && known.clear());
