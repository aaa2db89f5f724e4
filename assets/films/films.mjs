/**
 * Films: one thing at every checkpoint. `films`.
 *
 *     manifest (NDJSON, nearest step first) ──addresses──► chunks (immutable, MLF1) ──► frames by step
 *
 * One film is shared by all who open it. A film that nobody looks at is not read any further, but what has come stays, within
 * a budget of bytes, for when it is opened again.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { fetchAnswer, readLines } from "mloscope/base/http.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { filmBytes } from "mloscope/films/bytes.mjs";
import { filmSpan } from "mloscope/films/span.mjs";

const CHUNKS_AT_ONCE = 3;
const RETRY_MS = [1000, 2000, 4000, 8000];
const WORTH_A_RETRY = new Set(["unavailable", "unreachable", "hung-up"]);

let budgetBytes = 256 * 2 ** 20;
let heldBytes = 0;
let useCount = 0; // the clock of "least recently used"
const filmsByKey = new Map();
const anyListeners = new Set();
let anyPending = false;

/**
 * One film, however many look at it. Its chunks are, in turn: wanted, coming, here; let-go (over the budget: wanted again
 * when somebody asks for its step); gone (the server has forgotten it: wanted again when a manifest names it); lost.
 */
class SharedFilm {
  constructor(key, clock) {
    this.key = key;
    this.clock = clock;
    this.url = "";
    this.viewers = new Set();
    this.header = null;
    this.error = null;
    this.progress = null;
    this.complete = false;
    this.detached = false;
    this.frames = new Map(); // step -> frame, while its chunk is in memory
    this.chunkOf = new Map(); // step -> chunk
    this.chunks = new Map(); // address -> chunk
    this.reasons = new Map(); // step -> why it is missing
    this.layerRanges = new Map(); // step -> [lo, hi]; small, kept when the frame is let go
    this.over = null; // range over time and exploded steps; null until somebody asks
    this.fetching = 0;
    this.manifests = 0; // how many were asked for
    this.attempts = 0;
    this.abort = null;
    this.retryTimer = null;
  }

  /** Begin, or go on after everybody had left. */
  read() {
    if (this.complete) this.fetchMore();
    if (this.complete || this.abort) return;
    const abort = (this.abort = new AbortController());
    let ended = false;
    this.manifests += 1;
    readLines(this.url, abort.signal, (line) => {
      if (abort.signal.aborted) return;
      ended = ended || Boolean(line.done || line.error);
      this.take(line);
    })
      .then(() => {
        if (!ended) throw Object.assign(new Error(this.hungUp()), { kind: "hung-up" });
      })
      .catch((error) => {
        if (abort.signal.aborted) return;
        if (error instanceof TypeError) error = Object.assign(new Error(this.hungUp()), { kind: "hung-up" });
        this.fail(error);
      });
  }

  hungUp() {
    return `The server stopped before the film was complete: ${this.loaded} of ${this.total || "?"} checkpoints came.`;
  }

  /** One line of the manifest. */
  take(line) {
    if (line.film) {
      this.header = line.film;
      this.error = null;
    } else if (line.chunk) {
      this.name(line.chunk);
      this.fetchMore();
    } else if (line.missing) {
      this.reasons.set(line.missing.step, line.missing.reason);
    } else if (line.progress) {
      this.progress = line.progress;
    } else if (line.error) {
      this.fail(Object.assign(new Error(line.error.message), { kind: line.error.kind }));
    } else if (line.done) {
      this.complete = true;
      this.abort = null;
      this.attempts = 0;
      this.progress = null;
    }
    this.tell();
  }

  name({ address, steps, bytes }) {
    if (!this.chunks.has(address)) {
      this.chunks.set(address, { film: this, address, steps, bytes, state: "wanted", used: 0, held: 0, forgotten: 0 });
    }
    const chunk = this.chunks.get(address);
    chunk.namedIn = this.manifests;
    if (chunk.state === "gone") chunk.state = "wanted";
    for (const step of steps) {
      this.reasons.delete(step);
      this.chunkOf.set(step, chunk);
    }
  }

  /** Hang up. */
  stop() {
    clearTimeout(this.retryTimer);
    if (this.abort) this.abort.abort();
    this.abort = null;
  }

  /** Say what went wrong and, where waiting may help, ask again while somebody looks. */
  fail(error) {
    this.stop();
    this.complete = false;
    this.error = error.message;
    this.progress = null;
    if (WORTH_A_RETRY.has(error.kind)) {
      // Where nobody answers, asking often costs nobody anything.
      const most = error.kind === "unavailable" ? RETRY_MS.length - 1 : 1;
      const delayMs = RETRY_MS[Math.min(this.attempts, most)];
      this.attempts += 1;
      this.retryTimer = setTimeout(() => this.viewers.size && this.read(), delayMs);
    }
    this.tell();
  }

  /** Fetch what is wanted, a few at a time, nearest to the current step first. */
  fetchMore() {
    while (this.viewers.size && this.fetching < CHUNKS_AT_ONCE) {
      const wanted = [...this.chunks.values()].filter((chunk) => chunk.state === "wanted");
      if (!wanted.length) return;
      this.fetchChunk(wanted.reduce((best, chunk) => (distance(chunk) < distance(best) ? chunk : best)));
    }
  }

  async fetchChunk(chunk) {
    const manifest = chunk.namedIn;
    chunk.state = "coming";
    this.fetching += 1;
    try {
      const answer = await fetchAnswer(mountedAt(chunk.address)).catch((error) => {
        if (error.status !== 404) throw error;
        return fetchAnswer(this.framesAddress(chunk.steps));
      });
      const buffer = await answer.arrayBuffer();
      this.place(chunk, filmBytes.parse(buffer), buffer.byteLength);
    } catch (error) {
      this.lose(chunk, error, manifest);
    }
    this.fetching -= 1;
    this.fetchMore();
    this.tell();
  }

  /** Where to ask for these steps when the server's cache, which a chunk's address leads to, has let it go or is away. */
  framesAddress(steps) {
    const [path, query = ""] = this.key.split("?");
    return `${path.replace(/film$/, "frames")}?${query ? `${query}&` : ""}steps=${steps.join(",")}`;
  }

  place(chunk, film, bytes) {
    chunk.state = "here";
    chunk.forgotten = 0;
    chunk.used = useCount += 1;
    film.steps.forEach((step, position) => {
      if (this.chunkOf.get(step) !== chunk) return; // a later manifest has another content for this step
      const frame = film.frame(position);
      this.frames.set(step, frame);
      this.layerRanges.set(step, frame.layerRange.slice());
    });
    this.over = null;
    if (this.detached) return;
    chunk.held = bytes;
    heldBytes += bytes;
    keepBudget();
  }

  /**
   * A chunk that cannot be had. What is neither in the server's cache nor to be made of these files any more (404) is to be
   * looked for in one more manifest, the same one for all that an older `manifest` named.
   */
  lose(chunk, error, manifest) {
    if (error.status === 404 && (chunk.forgotten += 1) === 1) {
      chunk.state = chunk.namedIn > manifest ? "wanted" : "gone";
      if (this.manifests > manifest) return;
      this.stop();
      this.complete = false;
      this.read();
    } else if (WORTH_A_RETRY.has(error.kind)) {
      chunk.state = "gone";
      this.fail(error);
    } else {
      chunk.state = "lost";
      for (const step of chunk.steps) this.reasons.set(step, error.message);
    }
  }

  letGo(chunk) {
    heldBytes -= chunk.held;
    chunk.held = 0;
    chunk.state = this.viewers.size ? "let-go" : "wanted";
    for (const step of chunk.steps) if (this.chunkOf.get(step) === chunk) this.frames.delete(step);
    if (!this.viewers.size && !this.frames.size) filmsByKey.delete(this.key);
  }

  get total() {
    return this.header ? this.header.steps.length : 0;
  }

  get loaded() {
    return this.header ? this.header.steps.filter((step) => this.has(step)).length : 0;
  }

  has(step) {
    return this.frames.has(step) || this.reasons.has(step);
  }

  tell() {
    for (const viewer of [...this.viewers]) for (const listener of [...viewer.listeners]) listener();
    tellAny();
  }
}

/** How many checkpoints a chunk is away from the current one. */
function distance(chunk) {
  const { clock } = chunk.film;
  const here = clock.index;
  return Math.min(...chunk.steps.map((step) => Math.abs(clock.indexOf(step) - here)));
}

/** Whether a film waits for nothing at a step of the time bus; another run's film has steps of its own. */
function waitsForNothing(film, step) {
  if (!film.clock.stepAt) return film.has(step);
  const own = film.clock.stepAt(time.indexOf(step));
  return own === null || film.has(own);
}

/** Films that nobody looks at go first, the least recently drawn before others; then what is farthest from the current step. */
function keepBudget() {
  while (heldBytes > budgetBytes) {
    const held = [...filmsByKey.values()].flatMap((film) => [...film.chunks.values()].filter((chunk) => chunk.held));
    const idle = held.filter((chunk) => !chunk.film.viewers.size);
    if (held.length < 2) return;
    const victim = idle.length
      ? idle.reduce((oldest, chunk) => (chunk.used < oldest.used ? chunk : oldest))
      : held.reduce((farthest, chunk) => (distance(chunk) > distance(farthest) ? chunk : farthest));
    victim.film.letGo(victim);
  }
}

function tellAny() {
  if (anyPending) return;
  anyPending = true;
  requestAnimationFrame(() => {
    anyPending = false;
    for (const listener of [...anyListeners]) listener();
  });
}

/** What somebody holds who opened a film. */
class Film {
  constructor(shared) {
    this.shared = shared;
    this.listeners = new Set();
  }

  /** The manifest's first line ({show, layer, units, channels, rows, columns, ...}), null until it came. */
  get header() {
    return this.shared.header;
  }

  /** All steps of the run, [] until the manifest came. */
  get steps() {
    return this.shared.header ? this.shared.header.steps : [];
  }

  /** A sentence, null where nothing is wrong. */
  get error() {
    return this.shared.error;
  }

  /** {done, of, doing} while the server computes, else null. */
  get progress() {
    return this.shared.progress;
  }

  /** How many checkpoints came or are known to be missing. */
  get loaded() {
    return this.shared.loaded;
  }

  get total() {
    return this.shared.total;
  }

  /**
   * @param {number} step
   * @returns {?{codes: Uint8Array, unitRanges: Float32Array, layerRange: Float32Array}} null where it has not come
   */
  frame(step) {
    const chunk = this.shared.chunkOf.get(step);
    if (chunk) chunk.used = useCount += 1;
    if (chunk && chunk.state === "let-go") {
      chunk.state = "wanted";
      this.shared.fetchMore();
    }
    return this.shared.frames.get(step) || null;
  }

  /** @param {number} step @returns {?string} why there is nothing at this step, null where there is or may be */
  missing(step) {
    return this.shared.reasons.get(step) || null;
  }

  /** Range over time and exploded steps, as filmSpan.of has them; made anew when a frame came. */
  overTime() {
    const shared = this.shared;
    if (!shared.over) shared.over = filmSpan.of(shared.layerRanges);
    return shared.over;
  }

  /** @returns {?number[]} [lo, hi] of the whole layer over the steps that came and did not explode; null where nothing is finite */
  range() {
    return this.overTime().span;
  }

  /** @returns {Map} of the steps that came and exploded: how many times the median step's their values are */
  exploded() {
    return this.overTime().exploded;
  }

  /** Of how many steps `range` knows. */
  get ranged() {
    return this.shared.layerRanges.size;
  }

  /** @param {function(): void} listener called when anything came @returns {function(): void} stops listening */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Look away. The manifest is hung up when nobody looks any more. */
  close() {
    this.listeners.clear();
    if (!this.shared.viewers.delete(this) || this.shared.viewers.size) return;
    this.shared.stop();
    if (!this.shared.frames.size) filmsByKey.delete(this.shared.key);
    tellAny();
  }
}

export const films = {
  /**
   * Open a film. Two who open the same address, whatever step it is `near`, share one.
   * @param {string} url of the film route
   * @param {{index: number, indexOf: function(number): number, stepAt: ?function(number): ?number}} [clock] where time
   *   stands in the film's run; `stepAt`, where that is another run than the time bus's: its step at an index of the bus
   * @returns {Film}
   */
  open(url, clock = time) {
    const key = url.replace(/([?&])near=[^&]*&?/, "$1").replace(/[?&]$/, "");
    if (!filmsByKey.has(key)) filmsByKey.set(key, new SharedFilm(key, clock));
    const shared = filmsByKey.get(key);
    const film = new Film(shared);
    shared.url = url;
    shared.viewers.add(film);
    shared.read();
    tellAny();
    return film;
  },

  /** Let go of every film: the files behind them may be others now. Those in view live on until they are closed. */
  forget() {
    for (const shared of filmsByKey.values()) {
      shared.detached = true;
      for (const chunk of shared.chunks.values()) chunk.held = 0;
    }
    filmsByKey.clear();
    heldBytes = 0;
  },

  /**
   * How far the films in view are.
   * @returns {{count: number, has: function(number): boolean, error: ?string}} `has(step)`: no film waits for the step
   */
  inView() {
    const open = [...filmsByKey.values()].filter((shared) => shared.viewers.size);
    return {
      count: open.length,
      has: (step) => open.every((shared) => waitsForNothing(shared, step)),
      error: open.map((shared) => shared.error).find(Boolean) || null,
    };
  },

  /** @returns {Set<number>} steps of the time bus at which what a film in view shows has exploded */
  exploded() {
    const own = [...filmsByKey.values()].filter((shared) => shared.viewers.size && !shared.clock.stepAt);
    return new Set(own.flatMap((shared) => [...[...shared.viewers][0].exploded().keys()]));
  },

  /** @param {function(): void} listener called, at most once a frame, when any film changed @returns {function(): void} */
  onChange(listener) {
    anyListeners.add(listener);
    return () => anyListeners.delete(listener);
  },

  /** Bytes of frames held, and how many may be. */
  get heldBytes() {
    return heldBytes;
  },
  get budgetBytes() {
    return budgetBytes;
  },
  set budgetBytes(bytes) {
    budgetBytes = bytes;
    keepBudget();
  },
};
