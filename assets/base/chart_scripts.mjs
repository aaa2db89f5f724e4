/**
 * What draws charts, Plotly and the part of Dash around it: `chartScripts`. Loaded after the first film, for it is larger than all else
 * together.
 *
 *     a chart is wanted ──► the first film is drawn, or none is awaited ──► one file after the other ──► charts are drawn
 *                       a file does not come ──► said in the place of every chart, asked for again, less and less often
 *
 * app/web/dash/chart_scripts.py says where the files are.
 */
import { PAUSES_MS } from "mloscope/base/retry.mjs";
import { subject } from "mloscope/base/subject.mjs";

const LARGE_FILE_PAUSES_MS = [...PAUSES_MS, 15_000, 30_000];
const LOOK_FOR_FILM_MS = 50;
const FILM_WITHIN_MS = 20_000;

export class ChartScripts {
  /**
   * @param {{addresses: () => string[], load: (address: string) => Promise<void>, first?: () => Promise<void>, pausesMs?: number[]}} way
   *   `load` rejects where the file did not come; `first` is waited for before all else; `pausesMs`: before each of the tries after
   *   the first
   */
  constructor({ addresses, load, first = async () => {}, pausesMs = LARGE_FILE_PAUSES_MS }) {
    this.addresses = addresses;
    this.load = load;
    this.first = first;
    this.pausesMs = pausesMs;
    /** @type {"idle" | "loading" | "failed" | "ready"} */
    this.state = "idle";
    /** @type {Set<() => void>} */
    this.listeners = new Set();
    this.wake = () => {};
  }

  get ready() {
    return this.state === "ready";
  }

  /** What stands in the place of a chart meanwhile. */
  get sentence() {
    return this.state === "failed" ? "The chart library could not be loaded. Trying again …" : "Charts are loading …";
  }

  /**
   * Want charts: load what draws them, unless that has begun.
   * @param {() => void} listener called whenever the state changes
   * @returns {() => void} stops listening
   */
  subscribe(listener) {
    this.listeners.add(listener);
    if (this.state === "idle") this.loadAll();
    return () => this.listeners.delete(listener);
  }

  /** Try now, where a file is missing. */
  retry() {
    this.wake();
  }

  async loadAll() {
    this.become("loading");
    await this.first();
    for (const address of this.addresses()) await this.loadOne(address);
    this.become("ready");
  }

  async loadOne(address) {
    for (let tries = 0; ; tries += 1) {
      try {
        await this.load(address);
        return;
      } catch {
        this.become("failed");
        await this.pause(this.pausesMs[Math.min(tries, this.pausesMs.length - 1)]);
      }
    }
  }

  /** Wait, but no longer than until a retry is requested. */
  pause(ms) {
    return new Promise((/** @type {(value?: any) => void} */ resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  become(state) {
    this.state = state;
    for (const listener of [...this.listeners]) listener();
  }
}

/** Run a script file. No limit of time: on a slow line it may take minutes. */
function runScript(address) {
  return new Promise((/** @type {(value?: any) => void} */ resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve();
    script.onerror = () => {
      script.remove();
      reject(new Error(`${address} did not arrive`));
    };
    document.head.append(script);
  });
}

/**
 * Whether a first film is still to come: one is pending, and none is drawn. Those that have nothing to show, such as maps without an
 * image, are not waited for, and no reason to wait no longer for the others.
 * @param {(string | undefined)[]} states of the page's films
 */
export const isFilmAwaited = (states) => states.includes("pending") && !states.includes("ready");

/** The first film of the page is drawn, or cannot be; a page may have none. */
function firstFilm() {
  const states = () => [...document.querySelectorAll("canvas.film-canvas")].map((canvas) => /** @type {any} */ (canvas).dataset.state);
  const isAwaited = () => subject === null || isFilmAwaited(states());
  const until = performance.now() + FILM_WITHIN_MS;
  return new Promise((/** @type {(value?: any) => void} */ resolve) => {
    const look = () => (isAwaited() && performance.now() < until ? setTimeout(look, LOOK_FOR_FILM_MS) : resolve());
    setTimeout(look, LOOK_FOR_FILM_MS); // everything of the page that comes with the chart is in the document then
  });
}

function addressesInPage() {
  const told = document.getElementById("chart-scripts");
  return window.Plotly || !told ? [] : JSON.parse(/** @type {string} */ (told.textContent));
}

export const chartScripts = new ChartScripts({ addresses: addressesInPage, load: runScript, first: firstFilm });
window.addEventListener("online", () => chartScripts.retry());
