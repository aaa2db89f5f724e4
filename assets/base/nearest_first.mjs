/** Fetching the pieces of something that extends over time, those nearest to the current step first: `NearestFirst`. */

const AT_ONCE = 3;

/** Within how many checkpoints of the current one the nearest of some steps is. */
export const distance = (steps, clock) => Math.min(...steps.map((step) => Math.abs(clock.indexOf(step) - clock.index)));

/** Of pieces with `steps`, the one to begin with. */
export const nearest = (pieces, clock) =>
  pieces.reduce((best, piece) => (distance(piece.steps, clock) < distance(best.steps, clock) ? piece : best));

/**
 * A queue without an order of its own. A piece is {steps, state}; its state goes from "wanted" to "coming", and on to what `fetch`
 * makes of it: here, let-go (over the budget; "wanted" again when its step is), gone or lost.
 */
export class NearestFirst {
  /** How many pieces are being fetched. */
  coming = 0;

  /**
   * @param {{clock: {index: number, indexOf: (step: number) => number}, pieces: () => any[], isWatched: () => boolean,
   *   fetch: (piece: any) => Promise<void>, onChange: () => void}} how `pieces` gives all there are; nothing is fetched while nobody
   *   watches; `fetch` never rejects
   */
  constructor(how) {
    this.how = how;
  }

  /** Fetch what is wanted, a few at a time. */
  fetchMore() {
    const { clock, pieces, isWatched } = this.how;
    while (this.coming < AT_ONCE && isWatched()) {
      const wanted = pieces().filter(({ state }) => state === "wanted");
      if (!wanted.length) return;
      this.#fetch(nearest(wanted, clock));
    }
  }

  async #fetch(piece) {
    piece.state = "coming";
    this.coming += 1;
    await this.how.fetch(piece);
    this.coming -= 1;
    this.fetchMore();
    this.how.onChange();
  }

  /** A piece's data is asked for. @param {any | undefined} piece */
  want(piece) {
    if (!piece || (piece.state !== "let-go" && piece.state !== "wanted")) return;
    piece.state = "wanted";
    this.fetchMore();
  }
}
