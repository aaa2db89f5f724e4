/**
 * Where the network's picture stands in its window: moved, zoomed, gliding from one place to another.
 *
 * A place is {x, y, scale}: the window's pixel of the picture's corner, and screen pixels for a pixel of the picture.
 */

const SMALLEST = 0.15;
const LARGEST = 3;
const READABLE = 0.8;
const SMALLEST_READABLE = 0.6; // of a network with many branches: better small than cut at top and bottom
const COMFORTABLE = 1.15;
const KEPT_VISIBLE_PX = 60;
const MOVE_MS = 220;

/** @typedef {{x: number, y: number, scale: number}} Place */
/** @typedef {{x: number, y: number, width: number, height: number}} Box in pixels of the picture */

export class Camera {
  /** @type {Place} */
  at = { x: 0, y: 0, scale: 1 };
  /** @type {Place | null} where the picture is gliding to */
  goal = null;
  /** Whether anybody has moved the picture since it was first shown. */
  moved = false;
  size = { width: 0, height: 0 };
  /** @type {SVGGElement | null} what is moved */
  world = null;
  drawing = 0;
  gliding = 0;

  /** @param {HTMLElement} stage the window */
  constructor(stage) {
    this.stage = stage;
  }

  destroy() {
    cancelAnimationFrame(this.drawing);
    cancelAnimationFrame(this.gliding);
  }

  /**
   * Look at another picture.
   * @param {SVGGElement} world
   * @param {{width: number, height: number}} size
   */
  show(world, size) {
    this.world = world;
    this.size = size;
  }

  /** How high the window has to be for the network to be wholly in it at the size at which it is first shown. */
  wantedHeight() {
    const { width, height } = this.size;
    const scale = Math.min(COMFORTABLE, this.stage.clientWidth / (width || 1));
    return Math.ceil(height * (scale < READABLE ? 1 : scale));
  }

  /** The whole network in the window. @returns {Place} */
  whole() {
    const { clientWidth, clientHeight } = this.stage;
    const { width, height } = this.size;
    const scale = Math.min(COMFORTABLE, clientWidth / (width || 1), clientHeight / (height || 1));
    return { scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 };
  }

  /**
   * As first shown: the whole network where that is readable, else from its left, or around the selected layer.
   * @param {Box | null} selected
   */
  settle(selected) {
    const whole = this.whole();
    if (whole.scale < READABLE) {
      const scale = Math.min(1, Math.max(SMALLEST_READABLE, this.stage.clientHeight / this.size.height));
      whole.scale = scale;
      whole.x = 0;
      whole.y = (this.stage.clientHeight - this.size.height * scale) / 2;
    }
    this.moved = false;
    this.place(whole);
    if (selected) this.place(this.bringing(selected));
  }

  /**
   * After a block was opened or closed: its left edge stays where it was.
   * @param {number | null} before the window's pixel at which it was
   * @param {Box | null} box where it is now
   */
  keepPlace(before, box) {
    if (before !== null && box) this.at.x = before - box.x * this.at.scale;
    const room = this.stage.clientHeight;
    if (this.size.height * this.at.scale > room) {
      const scale = Math.max(room / this.size.height, SMALLEST_READABLE);
      if (scale < this.at.scale) {
        if (box) this.at.x += box.x * (this.at.scale - scale);
        this.at.scale = scale;
      }
    }
    this.at.y = (room - this.size.height * this.at.scale) / 2;
    this.place(this.at);
  }

  /** Where the picture has to stand so that a box is in the window; as it stands if it is already. @param {Box} box */
  bringing(box) {
    const { clientWidth, clientHeight } = this.stage;
    const { x, y, scale } = this.goal || this.at;
    const target = { x, y, scale };
    const left = box.x * scale + x;
    const top = box.y * scale + y;
    if (left < KEPT_VISIBLE_PX || left + box.width * scale > clientWidth - KEPT_VISIBLE_PX) {
      target.x = clientWidth / 2 - (box.x + box.width / 2) * scale;
    }
    if (top < 0 || top + box.height * scale > clientHeight) target.y = clientHeight / 2 - (box.y + box.height / 2) * scale;
    return this.within(target);
  }

  /** A place at which the picture cannot be lost: it fills the window as far as it can. @param {Place} wanted @returns {Place} */
  within({ x, y, scale }) {
    const kept = (offset, size, room) => {
      if (size <= room) return Math.min(Math.max(offset, 0), room - size);
      return Math.min(Math.max(offset, room - size), 0);
    };
    const { clientWidth, clientHeight } = this.stage;
    return { scale, x: kept(x, this.size.width * scale, clientWidth), y: kept(y, this.size.height * scale, clientHeight) };
  }

  /** Stand there, from the next frame on. @param {Place} wanted */
  place(wanted) {
    this.at = this.within(wanted);
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      const { x, y, scale } = this.at;
      if (this.world) this.world.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${scale.toFixed(5)})`);
    });
  }

  /** Move there within a moment, or at once for those who asked for less motion. @param {Place} wanted */
  glide(wanted) {
    cancelAnimationFrame(this.gliding);
    const goal = this.within(wanted);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.place(goal);
      return;
    }
    this.goal = goal;
    const start = { ...this.at };
    const began = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, now - began) / MOVE_MS);
      const eased = 1 - (1 - part) ** 3;
      const between = (a, b) => a + (b - a) * eased;
      this.place({ x: between(start.x, goal.x), y: between(start.y, goal.y), scale: between(start.scale, goal.scale) });
      if (part < 1) this.gliding = requestAnimationFrame(step);
      else this.goal = null;
    };
    this.gliding = requestAnimationFrame(step);
  }

  stopGliding() {
    cancelAnimationFrame(this.gliding);
    this.goal = null;
  }

  /** The place after zooming about a point of the window. @param {number} factor @param {number} x @param {number} y */
  zoomed(factor, x, y, from = this.at) {
    const scale = Math.min(LARGEST, Math.max(SMALLEST, from.scale * factor));
    const grown = scale / from.scale;
    return { scale, x: x - (x - from.x) * grown, y: y - (y - from.y) * grown };
  }

  /** Zoom about the middle of the window. @param {number} factor */
  zoomBy(factor) {
    if (!this.world) return;
    this.moved = true;
    this.glide(this.zoomed(factor, this.stage.clientWidth / 2, this.stage.clientHeight / 2, this.goal || this.at));
  }
}
