/**
 * Which of A and B a blink shows, and whether they take turns by themselves: not at first where motion is unwelcome. `turns`.
 */
const TURN_MS = 700;
const listeners = new Set();
let timer = 0;

/** Whether something blinks that may go on by itself. */
const runs = () => listeners.size > 0 && !turns.isPaused;

function keepTime() {
  clearInterval(timer);
  timer = runs() ? window.setInterval(() => document.hidden || turns.next(), TURN_MS) : 0;
}

const tell = () => [...listeners].forEach((listener) => listener());

export const turns = {
  /** @type {"A" | "B"} */ side: "A",
  isPaused: matchMedia("(prefers-reduced-motion: reduce)").matches,

  /** The other side's turn. */
  next() {
    turns.side = turns.side === "A" ? "B" : "A";
    tell();
  },

  /** Stop, or go on. @param {boolean} isPaused */
  pause(isPaused) {
    turns.isPaused = isPaused;
    keepTime();
  },

  /** Hear of every turn. @param {() => void} listener @returns {() => void} leaves; nothing blinks once all have left */
  follow(listener) {
    listeners.add(listener);
    keepTime();
    return () => {
      listeners.delete(listener);
      keepTime();
    };
  },
};
