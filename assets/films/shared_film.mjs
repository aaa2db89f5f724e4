/**
 * One film, however many look at it: its manifest, its chunks, its frames, within a budget of bytes over all films.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { oncePerFrame } from "mloscope/base/dom.mjs";
import { fetchBytes, readLines } from "mloscope/base/http.mjs";
import { NearestFirst, distance } from "mloscope/base/nearest_first.mjs";
import { Retry, hungUp, isTemporary } from "mloscope/base/retry.mjs";
import { filmBytes } from "mloscope/films/bytes.mjs";

/** All films, and what they may hold. */
export const store = {
  /** @type {Map<string, SharedFilm>} */
  films: new Map(),
  /** Bytes of frames that are held, and how many may be. */
  heldBytes: 0,
  budgetBytes: 256 * 2 ** 20,
  /** The clock of "least recently used". */
  uses: 0,
  /** Who hears, at most once per frame, that any film changed. @type {Set<() => void>} */
  listeners: new Set(),
};

/**
 * One film, however many look at it. Its chunks are, in turn: wanted, coming, here; let-go (over the budget: wanted again
 * when its step is requested); gone (no longer on the server: wanted again when a manifest names it); lost.
 */
export class SharedFilm {
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
    this.unsound = new Map(); // step -> "all" or "some": which of its values are no finite numbers
    this.over = null; // range over time and exploded steps; null until requested
    this.queue = new NearestFirst({
      clock,
      pieces: () => [...this.chunks.values()],
      isWatched: () => this.viewers.size > 0,
      fetch: (chunk) => this.fetchChunk(chunk),
      onChange: () => this.tell(),
    });
    this.retry = new Retry();
    this.manifests = 0; // how many were requested
    this.abort = null;
  }

  /** Begin, or continue after all viewers had left. */
  read() {
    if (this.complete) this.queue.fetchMore();
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
        if (!ended) throw hungUp("");
      })
      .catch((error) => {
        if (abort.signal.aborted) return;
        const came = `${this.loaded} of ${this.total || "?"} checkpoints came`;
        this.fail(error.kind === "hung-up" ? hungUp(`The server stopped before the film was complete: ${came}.`) : error);
      });
  }

  /** One line of the manifest. */
  take(line) {
    if (line.film) {
      this.header = line.film;
      this.error = null;
    } else if (line.chunk) {
      this.name(line.chunk);
      this.queue.fetchMore();
    } else if (line.missing) {
      this.reasons.set(line.missing.step, line.missing.reason);
    } else if (line.progress) {
      this.progress = line.progress;
    } else if (line.error) {
      this.fail(Object.assign(new Error(line.error.message), { kind: line.error.kind }));
    } else if (line.done) {
      this.complete = true;
      this.abort = null;
      this.retry.succeeded();
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

  /** Abort the manifest. */
  stop() {
    this.retry.cancel();
    if (this.abort) this.abort.abort();
    this.abort = null;
  }

  /** Report the error; where the cause may be temporary, retry while anyone watches. */
  fail(error) {
    this.stop();
    this.complete = false;
    this.error = error.message;
    this.progress = null;
    if (isTemporary(error)) {
      // Where nobody answers, a request costs the server nothing.
      const longestMs = error.kind === "unavailable" ? Infinity : 2000;
      this.retry.later(() => this.viewers.size && this.read(), longestMs);
    }
    this.tell();
  }

  async fetchChunk(chunk) {
    const manifest = chunk.namedIn;
    try {
      const buffer = await fetchBytes(mountedAt(chunk.address)).catch((error) => {
        if (error.status !== 404) throw error;
        return fetchBytes(this.framesAddress(chunk.steps));
      });
      this.place(chunk, filmBytes.parse(buffer), buffer.byteLength);
    } catch (error) {
      this.lose(chunk, error, manifest);
    }
  }

  /** Where to ask for these steps when the server's cache, which a chunk's address leads to, has let it go or is away. */
  framesAddress(steps) {
    const [path, query = ""] = this.key.split("?");
    return `${path.replace(/film$/, "frames")}?${query ? `${query}&` : ""}steps=${steps.join(",")}`;
  }

  place(chunk, film, bytes) {
    chunk.state = "here";
    chunk.forgotten = 0;
    chunk.used = store.uses += 1;
    film.steps.forEach((step, position) => {
      if (this.chunkOf.get(step) !== chunk) return; // a later manifest has another content for this step
      const frame = film.frame(position);
      this.frames.set(step, frame);
      this.layerRanges.set(step, frame.layerRange.slice());
      const unsound = filmBytes.unsound(frame);
      if (unsound) this.unsound.set(step, unsound);
    });
    this.over = null;
    if (this.detached) return;
    chunk.held = bytes;
    store.heldBytes += bytes;
    keepBudget();
  }

  /**
   * A chunk that could not be fetched. What is neither in the server's cache nor can be computed from these files any more (404) is
   * looked for in one more manifest, the same one for all that an older `manifest` named.
   */
  lose(chunk, error, manifest) {
    if (error.status === 404 && (chunk.forgotten += 1) === 1) {
      chunk.state = chunk.namedIn > manifest ? "wanted" : "gone";
      if (this.manifests > manifest) return;
      this.stop();
      this.complete = false;
      this.read();
    } else if (isTemporary(error)) {
      chunk.state = "gone";
      this.fail(error);
    } else {
      chunk.state = "lost";
      for (const step of chunk.steps) this.reasons.set(step, error.message);
    }
  }

  letGo(chunk) {
    store.heldBytes -= chunk.held;
    chunk.held = 0;
    chunk.state = this.viewers.size ? "let-go" : "wanted";
    for (const step of chunk.steps) if (this.chunkOf.get(step) === chunk) this.frames.delete(step);
    if (!this.viewers.size && !this.frames.size) store.films.delete(this.key);
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

const away = (chunk) => distance(chunk.steps, chunk.film.clock);

/** Films that are not shown go first, the least recently drawn before others; then what is farthest from the current step. */
export function keepBudget() {
  while (store.heldBytes > store.budgetBytes) {
    const held = [...store.films.values()].flatMap((film) => [...film.chunks.values()].filter((chunk) => chunk.held));
    const idle = held.filter((chunk) => !chunk.film.viewers.size);
    if (held.length < 2) return;
    const victim = idle.length
      ? idle.reduce((oldest, chunk) => (chunk.used < oldest.used ? chunk : oldest))
      : held.reduce((farthest, chunk) => (away(chunk) > away(farthest) ? chunk : farthest));
    victim.film.letGo(victim);
  }
}

export const tellAny = oncePerFrame(() => {
  for (const listener of [...store.listeners]) listener();
});
