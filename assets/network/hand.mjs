/** Pointer, wheel and pinch over the network: they move and zoom its picture. */

const CLICK_SLACK_PX = 4;

export class Hand {
  /** Position of each finger or button that is down, by its number. @type {Map<number, {x: number, y: number}>} */
  pointers = new Map();
  dragged = 0;
  dragFrom = { x: 0, y: 0, scale: 1 };
  dragStart = { x: 0, y: 0, spread: 0 };

  /**
   * @param {HTMLElement} stage
   * @param {import("mloscope/network/camera.mjs").Camera} camera
   * @param {{point: (target: Element, event: PointerEvent) => void, leave: () => void}} told `point` hears of a pointer that is not
   *   down, `leave` when what is pointed at is no longer there
   */
  constructor(stage, camera, told) {
    this.stage = stage;
    this.camera = camera;
    this.told = told;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", (event) => this.up(event));
    stage.addEventListener("pointerleave", () => told.leave());
  }

  get isDown() {
    return this.pointers.size > 0;
  }

  /** Whether the click that comes now ends a drag. */
  get hasDragged() {
    return this.dragged >= CLICK_SLACK_PX;
  }

  local(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  wheel(event) {
    const { camera } = this;
    if (!camera.world) return;
    camera.stopGliding();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? this.stage.clientWidth : 1;
    const before = { ...camera.at };
    if (event.ctrlKey || event.metaKey) {
      const { x, y } = this.local(event);
      camera.place(camera.zoomed(Math.exp(Math.max(-60, Math.min(60, -event.deltaY * unit)) * 0.006), x, y));
      event.preventDefault();
    } else {
      // There is far more to the right than below: a plain wheel goes along the network.
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY;
      camera.place({ ...camera.at, x: camera.at.x - sideways * unit });
      if (camera.at.x !== before.x) event.preventDefault();
    }
    camera.moved = true;
    this.told.leave();
  }

  down(event) {
    if (event.button !== 0 || !this.camera.world) return;
    this.camera.stopGliding();
    this.pointers.set(event.pointerId, this.local(event));
    if (this.pointers.size === 1) this.dragged = 0;
    this.dragFrom = { ...this.camera.at };
    this.dragStart = this.middle();
  }

  /** Centre and spread of the fingers that are down. */
  middle() {
    const points = [...this.pointers.values()];
    const x = points.reduce((sum, point) => sum + point.x, 0) / points.length;
    const y = points.reduce((sum, point) => sum + point.y, 0) / points.length;
    const spread = points.length > 1 ? Math.hypot(points[0].x - points[1].x, points[0].y - points[1].y) : 0;
    return { x, y, spread };
  }

  move(event) {
    if (!this.pointers.has(event.pointerId)) {
      if (event.pointerType === "mouse") this.told.point(event.target, event);
      return;
    }
    this.pointers.set(event.pointerId, this.local(event));
    const now = this.middle();
    const start = this.dragStart;
    this.dragged = Math.max(this.dragged, Math.hypot(now.x - start.x, now.y - start.y), Math.abs(now.spread - start.spread));
    if (!this.hasDragged) return;
    // Captured only now: a captured pointer's click would go to the stage instead of the node.
    if (!this.stage.hasPointerCapture(event.pointerId)) this.stage.setPointerCapture(event.pointerId);
    this.stage.dataset.dragging = "";
    this.told.leave();
    const { camera, dragFrom } = this;
    camera.moved = true;
    const shifted = { ...dragFrom, x: dragFrom.x + now.x - start.x, y: dragFrom.y + now.y - start.y };
    camera.place(start.spread && now.spread ? camera.zoomed(now.spread / start.spread, now.x, now.y, shifted) : shifted);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    delete this.stage.dataset.dragging;
    if (!this.isDown) return;
    this.dragFrom = { ...this.camera.at };
    this.dragStart = this.middle();
  }
}
