/**
 * Clusters of a run's images and the map of all images, every step loaded ahead: `clusters`.
 *
 *     statistics (overview) ──► chunks of rows (JSON) ──► sheets of their nearest images' pictures
 *                                   └──► chunks of points (MLP1)          images: id and label by position
 *
 * All who follow the same statistics share one object; moving through time asks for nothing once it has come.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { checkLength, openContainer } from "mloscope/base/container.mjs";
import { fetchAnswer, fetchJson } from "mloscope/base/http.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { StatisticsChunks } from "mloscope/statistics/chunks.mjs";
import { statistics } from "mloscope/statistics/statistics.mjs";

const BUDGET_BYTES = 256 * 2 ** 20;
const NONE = 65535;
const BORDER = 32766.5; // just within the last code of the map
const dataOf = new WeakMap(); // Statistics -> ClusterData

class ClusterData {
  /** @type {any} */ fetchingSheets;
  /** @type {any} */ asking;
  /** @type {any} */ positions;
  /** @type {any} */ caught;
  /** @type {any} */ leave;

  constructor(statistics) {
    this.statistics = statistics;
    this.listeners = new Set();
    this.overview = null;
    /** {ids: string[], labels: number[]} by position within the split; null until they came. */
    this.images = null;
    this.imagesError = null;
    this.sheets = new Map(); // address -> {bitmap: ?ImageBitmap, error: ?string}
    const how = {
      onChange: () => this.tell(),
      onStale: () => statistics.reread(),
      isWatched: () => this.listeners.size > 0,
      budgetBytes: BUDGET_BYTES,
    };
    this.rowChunks = new StatisticsChunks({ ...how, parse: parseRows, onChange: () => this.gotRows() });
    this.pointChunks = new StatisticsChunks({ ...how, parse: (buffer) => clusters.parse(buffer) });
    this.heard = () => this.hear();
  }

  gotRows() {
    this.fetchSheets();
    this.tell();
  }

  /** Number of clusters, 0 where none were made. */
  get k() {
    return this.made ? this.made.k : 0;
  }

  /** What the overview says of clusters, null where none were made. */
  get made() {
    return (this.overview && this.overview.clusters) || null;
  }

  get classNames() {
    return (this.overview && this.overview.class_names) || [];
  }

  /**
   * The rows of a checkpoint.
   * @param {number} index position on the time bus
   * @returns {any | null} {step, before, after, refit, clusters: [{cluster, size, state, purity, majority, mean, nearest, from, to}],
   *   pictures: {address, edge, across, places: Map}}; null where they are not here
   */
  rows(index) {
    const checkpoint = time.checkpoints[index];
    return checkpoint ? this.rowChunks.value(checkpoint.step) : null;
  }

  /** @returns {any | null} {images, x: Int16Array, y: Int16Array, cluster: Uint16Array, predicted: Uint16Array, ...}, null as above */
  points(index) {
    const checkpoint = time.checkpoints[index];
    return checkpoint ? this.pointChunks.value(checkpoint.step) : null;
  }

  /** Rows of every checkpoint that came, by index; asks for nothing. */
  allRows() {
    return time.checkpoints.map(({ step }) => this.rowChunks.peek(step));
  }

  /** Points of every checkpoint that came, by index; asks for nothing. */
  allPoints() {
    return time.checkpoints.map(({ step }) => this.pointChunks.peek(step));
  }

  /** The map that the view asks for, as the overview has it: {kind, label, key, expected_seconds, points}; null where there are no clusters. */
  get map() {
    const { map } = view.get();
    return this.made ? this.made.maps.find(({ kind }) => kind === map) || null : null;
  }

  /** @param {"rowChunks"|"pointChunks"} which @returns {string | null} why there is nothing at this index; null where there may be */
  reason(index, which) {
    const { statistics } = this;
    const checkpoint = time.checkpoints[index];
    if (!checkpoint || !statistics.overview) return statistics.reason(index);
    if (this[which].chunkOf.has(checkpoint.step)) return this[which].reason(checkpoint.step) || this[which].error;
    const entry = statistics.entries.get(checkpoint.step);
    if (!entry || entry.state !== "ready") return statistics.reason(index) || "It has not been evaluated yet.";
    const { map } = this;
    if (which === "pointChunks" && map && !map.key) return `The ${map.label} map of these checkpoints has not been computed yet.`;
    return "It has been evaluated, but not clustered: clusters are computed last, after every checkpoint has been evaluated.";
  }

  /** The picture of an image that a row shows: draw(context, x, y, size) or null where it is not here. */
  picture(rows, position) {
    const sheet = this.sheets.get(rows.pictures.address);
    const place = rows.pictures.places.get(position);
    if (!sheet || !sheet.bitmap || place === undefined) return null;
    const { edge, across } = rows.pictures;
    return { bitmap: sheet.bitmap, x: (place % across) * edge, y: Math.floor(place / across) * edge, edge };
  }

  /** The sheets of all rows that are here, one after the other, the nearest to the current step first. */
  async fetchSheets() {
    if (this.fetchingSheets) return;
    this.fetchingSheets = true;
    for (let address = this.nextSheet(); address && this.listeners.size; address = this.nextSheet()) {
      const sheet = /** @type {{bitmap: ImageBitmap | null, error: string | null}} */ ({ bitmap: null, error: null });
      this.sheets.set(address, sheet);
      try {
        const answer = await fetchAnswer(mountedAt(address));
        sheet.bitmap = await createImageBitmap(await answer.blob());
      } catch (error) {
        sheet.error = error.message; // its rows stand there without pictures
      }
      this.tell();
    }
    this.fetchingSheets = false;
  }

  nextSheet() {
    const here = time.index;
    let best = null;
    let least = Infinity;
    this.allRows().forEach((rows, index) => {
      const address = rows && rows.pictures.address;
      if (!address || this.sheets.has(address) || Math.abs(index - here) >= least) return;
      [best, least] = [address, Math.abs(index - here)];
    });
    return best;
  }

  /** Whether everything that is ready on the server is here. */
  get isLoaded() {
    const { rowChunks, pointChunks } = this;
    const whole = rowChunks.loaded === rowChunks.total && pointChunks.loaded === pointChunks.total;
    return Boolean(this.images) && whole && !this.nextSheet() && [...this.sheets.values()].every(({ bitmap, error }) => bitmap || error);
  }

  async fetchImages() {
    if (this.images || this.asking) return;
    this.asking = true;
    try {
      this.images = await fetchJson(this.statistics.address(["statistics", "image_ids"]));
      this.imagesError = null;
    } catch (error) {
      this.imagesError = error.message;
    }
    this.asking = false;
    this.tell();
  }

  /** @returns {number} position within the split of the image with this id, -1 where it is none of them */
  positionOf(id) {
    if (!this.images || !id) return -1;
    if (!this.positions) this.positions = new Map(this.images.ids.map((one, position) => [one, position]));
    return this.positions.has(id) ? this.positions.get(id) : -1;
  }

  /**
   * The images within a line drawn on the map.
   * @param {string} lasso as the view holds it: "step:x,y;x,y;...", x and y from 0 (left, below) to 999
   * @returns {null | {step: number, positions: number[]}} null where there is no line, or its step's points are not here
   */
  lassoed(lasso) {
    const outline = clusters.outline(lasso);
    if (!outline) return null;
    const points = this.points(time.indexOf(outline.step));
    if (!points) return null;
    if (this.caught && this.caught.lasso === lasso && this.caught.points === points) return this.caught;
    const positions = [];
    for (let point = 0; point < points.images; point += 1) {
      if (points.x[point] === clusters.NO_COORDINATE) continue;
      if (inside(outline.corners, points.x[point], points.y[point])) positions.push(point);
    }
    this.caught = { lasso, points, step: outline.step, positions, set: new Set(positions) };
    return this.caught;
  }

  subscribe(listener) {
    this.listeners.add(listener);
    if (this.listeners.size === 1) {
      const stops = [this.statistics.subscribe(this.heard), view.subscribe((_, changed) => changed.includes("map") && this.namePoints())];
      this.leave = () => stops.forEach((stop) => stop());
      this.hear();
    }
    return () => {
      this.listeners.delete(listener);
      if (!this.listeners.size) this.leave();
    };
  }

  /** Something came: perhaps another overview. */
  hear() {
    const { overview } = this.statistics;
    if (overview !== this.overview) {
      if (this.overview && overview && this.overview.images !== overview.images) this.images = this.positions = null;
      this.overview = overview;
      const made = this.made ? this.made.steps.map((step, at) => ({ step, key: this.made.keys[at] })) : [];
      // What a row says of where its images come from and go depends on the steps beside it.
      const around = made.map(({ step }, at) => [step, [at - 1, at, at + 1].map((i) => (made[i] ? made[i].key : "")).join()]);
      this.rowChunks.name((this.made && this.made.rows) || [], new Map(around));
      this.namePoints();
      if (made.length) this.fetchImages();
    }
    this.tell();
  }

  /** The points that are wanted are those of the map that the view asks for. */
  namePoints() {
    const { made, map } = this;
    const steps = map && map.key ? made.steps.map((step, at) => [step, `${map.key} ${made.keys[at]}`]) : [];
    this.pointChunks.name(map ? map.points : [], new Map(steps));
  }

  tell() {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Chunk of rows: {"steps": [...], "pictures": {"address", "edge", "across"}}; pictures in ascending order of position. */
function parseRows(buffer) {
  const { steps, pictures } = JSON.parse(new TextDecoder().decode(buffer));
  const shown = new Set(steps.flatMap(({ clusters }) => clusters.flatMap(({ nearest }) => nearest)));
  const places = new Map([...shown].sort((a, b) => a - b).map((position, place) => [position, place]));
  const shared = { ...pictures, places };
  return steps.map((rows) => ({ step: rows.step, value: { ...rows, pictures: shared } }));
}

/** Whether a point lies within a closed line, by the number of its edges to the right of it; on the map's border, within a line along it. */
function inside(corners, atX, atY) {
  const [x, y] = [Math.min(atX, BORDER), Math.min(atY, BORDER)];
  let within = false;
  for (let here = 0, last = corners.length - 1; here < corners.length; last = here, here += 1) {
    const [ax, ay] = corners[here];
    const [bx, by] = corners[last];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
}

export const clusters = {
  /** Stands for "no cluster" and "not predicted". */
  NONE,
  /** Stands for "no place on the map". */
  NO_COORDINATE: -32768,

  /**
   * @param {ArrayBuffer} buffer "MLP1" as docs/http_api.md lays it out
   * @returns {{step: number, value: {images: number, x: Int16Array, y: Int16Array, cluster: Uint16Array, predicted: Uint16Array, xRange: number[], yRange: number[], note: string}}[]}
   */
  parse(buffer) {
    const { header, start } = openContainer(buffer, "MLP1", "points on a map");
    const { images } = header;
    checkLength(buffer, start + header.steps.length * images * 8, "points on a map");
    return header.steps.map((step, at) => {
      const from = start + at * images * 8;
      const value = {
        images,
        x: new Int16Array(buffer, from, images),
        y: new Int16Array(buffer, from + images * 2, images),
        cluster: new Uint16Array(buffer, from + images * 4, images),
        predicted: new Uint16Array(buffer, from + images * 6, images),
        xRange: header.x, yRange: header.y, note: header.note,
      }; // prettier-ignore
      return { step, value };
    });
  },

  /**
   * @param {string} lasso see ClusterData.lassoed
   * @returns {null | {step: number, corners: number[][]}} corners in codes of the map; null where the text is not a line
   */
  outline(lasso) {
    const found = /^(\d{1,15}):(\d{1,3},\d{1,3}(?:;\d{1,3},\d{1,3}){2,})$/.exec(lasso || "");
    if (!found) return null;
    const corner = (text) => text.split(",").map((part) => (Number(part) / 999) * 65534 - 32767);
    return { step: Number(found[1]), corners: found[2].split(";").map(corner) };
  },

  /**
   * The text of a line, with as many of its corners as an address has room for.
   * @param {number} step
   * @param {number[][]} corners in codes of the map
   * @returns {string}
   */
  lasso(step, corners) {
    const every = Math.max(1, Math.ceil(corners.length / 100));
    const part = (code) => Math.min(999, Math.max(0, Math.round(((code + 32767) / 65534) * 999)));
    const kept = corners.filter((_, at) => at % every === 0);
    return `${step}:${kept.map(([x, y]) => `${part(x)},${part(y)}`).join(";")}`;
  },

  /** @param {any} statistics @returns {ClusterData} the one that belongs to it */
  of(statistics) {
    if (!dataOf.has(statistics)) dataOf.set(statistics, new ClusterData(statistics));
    return dataOf.get(statistics);
  },

  /**
   * Follow the clusters of what the page is about, as statistics.follow does the statistics.
   * @param {(a: ClusterData) => void} listener
   * @returns {() => void} stops following
   */
  follow(listener) {
    /** @type {ClusterData | null} */
    let data = null;
    let leave = () => {};
    const stop = statistics.follow((statistics) => {
      const next = clusters.of(statistics);
      if (next === data) return; // it tells by itself
      leave();
      data = next;
      leave = next.subscribe(() => listener(next));
      listener(next);
    });
    return () => {
      stop();
      leave();
    };
  },
};
