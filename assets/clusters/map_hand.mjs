/** Pointer, wheel and keys over the map of images: a lasso, a click, moving and zooming; and what is said of an image. */
import { element } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { view } from "mloscope/base/view.mjs";
import { WHOLE } from "mloscope/clusters/lens.mjs";
import { clusters } from "mloscope/clusters/points.mjs";
import { choose, openInNetwork } from "mloscope/images/choosing.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const REACH_PX = 9; // how far from the pointer an image may lie to be meant
const DRAG_PX = 4;
export const ZOOM_STEP = 1.5; // of a key or a button
const ZOOM_PER_PX = 0.0015; // of the wheel, as a power of e
const PAN_SHARE = 0.1; // of what is in view, for an arrow key
const PICTURE_PX = 56;
const HOVER_MS = 60; // before a picture is asked for

const PANS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const mapKeys = keyTable("Map of images", [
  { keys: Object.keys(PANS), does: "move the map, where it is zoomed", act: (hand, { key }) => hand.pan(PANS[key]) },
  { keys: ["+", "=", "-"], does: "zoom in or out", act: ({ map }, { key }) => map.zoom(key === "-" ? 1 / ZOOM_STEP : ZOOM_STEP) },
  { keys: ["wheel", "Ctrl+wheel"], does: "the same, where the pointer is", act: (hand, event) => hand.wheel(event) },
  { keys: ["0"], does: "the whole map", act: ({ map }) => map.look(WHOLE) },
  { keys: ["l"], does: "select the images in view", act: ({ map }) => map.lassoView() },
  { keys: ["Escape"], does: "select no images", act: (hand) => hand.forget() },
]);

export class MapHand {
  /** @type {{at: number[], lens: any} | null} where the map was taken hold of */ grabbed = null;
  /** @type {number[] | null} where a button went down */ start = null;
  /** @type {number[][] | null} the line that is being drawn */ drawn = null;
  hovered = -1;
  /** @type {number | undefined} */ hovering;

  /** @param {any} map the MovingMap of assets/clusters/point_map.mjs */
  constructor(map) {
    this.map = map;
    this.tip = element("div", { class: "points-tip", hidden: true });
    const { canvas } = map;
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("dblclick", (event) => this.use(event, openInNetwork));
    canvas.addEventListener("keydown", (event) => this.map.shown && mapKeys(this, event));
    canvas.addEventListener("wheel", (event) => mapKeys(this, event), { passive: false });
  }

  destroy() {
    clearTimeout(this.hovering);
  }

  wheel(event) {
    this.map.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 16 : 1) * ZOOM_PER_PX), this.at(event));
  }

  at(event) {
    const { left, top } = this.map.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  press(event) {
    const grabs = event.button === 1 || (event.button === 0 && event.shiftKey);
    if (!(event.button === 0 || grabs) || !this.map.shown) return;
    event.preventDefault(); // of the middle button: no scrolling by itself
    this.map.canvas.focus({ preventScroll: true });
    if (grabs) this.grabbed = { at: this.at(event), lens: this.map.lens };
    else this.start = this.at(event);
    this.map.canvas.setPointerCapture(event.pointerId);
    this.hide();
  }

  move(event) {
    const here = this.at(event);
    if (this.grabbed) {
      const { at, lens } = this.grabbed;
      this.map.pan(here[0] - at[0], here[1] - at[1], lens);
      return;
    }
    if (!this.start) {
      this.hover(here);
      return;
    }
    if (!this.drawn && Math.hypot(here[0] - this.start[0], here[1] - this.start[1]) < DRAG_PX) return;
    this.drawn = this.drawn || [this.start];
    this.drawn.push(here.map((n) => Math.round(n * 10) / 10));
    this.map.drawLine(this.drawn);
  }

  release(event) {
    const { drawn, start } = this;
    this.drop();
    if (!start || !this.map.shown) return;
    if (!drawn || drawn.length < 3) {
      this.use(event, choose);
      return;
    }
    this.map.lasso(drawn);
  }

  /** Do something with the image at the pointer. */
  use(event, act) {
    const position = this.nearest(...this.at(event));
    if (position >= 0 && this.map.data.images) act(this.map.data.images.ids[position]);
  }

  drop() {
    this.start = this.drawn = this.grabbed = null;
    this.map.drawLine(this.drawn);
  }

  leave() {
    if (!this.start) this.hide();
  }

  hide() {
    clearTimeout(this.hovering);
    this.hovered = -1;
    this.tip.hidden = true;
    this.map.canvas.style.cursor = "";
  }

  hover(/** @type {number[]} */ [left, top]) {
    const position = this.nearest(left, top);
    this.map.canvas.style.cursor = position < 0 ? "" : "pointer";
    if (position === this.hovered) return;
    this.hide();
    if (position < 0) return;
    this.hovered = position;
    this.hovering = setTimeout(() => this.tell(position, left, top), HOVER_MS);
  }

  tell(position, left, top) {
    const { tip } = this;
    const { data, shown } = this.map;
    if (!shown || !data.images) return;
    const { NONE } = clusters;
    const id = data.images.ids[position];
    const name = (number) => data.classNames[number] || `class ${number}`;
    const label = data.images.labels[position];
    const { corpus } = data.statistics.overview;
    const picture = element("img", { alt: "", width: PICTURE_PX, height: PICTURE_PX, src: imageRecords.picture(corpus, id, PICTURE_PX) });
    picture.addEventListener("error", () => picture.remove());
    const lines = [
      element("strong", {}, [id]),
      label >= 0 ? name(label) : "no label",
      shown.predicted[position] === NONE ? "not predicted" : `predicted ${name(shown.predicted[position])}`,
      shown.cluster[position] === NONE ? "no cluster" : `cluster ${shown.cluster[position]}`,
    ];
    tip.replaceChildren(
      picture,
      element(
        "div",
        { class: "points-facts" },
        lines.map((line) => element("span", {}, [line])),
      ),
    );
    tip.hidden = false;
    const { clientWidth, clientHeight } = this.map.stage;
    const x = left + 14 + tip.offsetWidth > clientWidth ? left - 14 - tip.offsetWidth : left + 14;
    const y = Math.min(top + 10, clientHeight - tip.offsetHeight);
    tip.style.transform = `translate(${Math.max(0, x)}px, ${Math.max(0, y)}px)`;
  }

  /** Position of the image nearest to a place on the stage, -1 where none is near. */
  nearest(left, top) {
    const points = this.map.shown;
    if (!points) return -1;
    const box = this.map.box(points);
    const perX = box.width / 65534;
    const perY = box.height / 65534;
    const x = (left - box.x) / perX - 32767;
    const y = 32767 - (top - box.y) / perY;
    const reachX = REACH_PX / perX;
    let best = -1;
    let least = REACH_PX * REACH_PX;
    for (let image = 0; image < points.images; image += 1) {
      const across = points.x[image] - x;
      if (across > reachX || across < -reachX || points.x[image] === clusters.NO_COORDINATE) continue;
      const away = (across * perX) ** 2 + ((points.y[image] - y) * perY) ** 2;
      if (away < least) [best, least] = [image, away];
    }
    return best;
  }

  /** Move the map by a share of its size; false where all of it is in view: the arrows are the timeline's then. */
  pan([across, down]) {
    const { clientWidth, clientHeight } = this.map.stage;
    if (this.map.lens.zoom <= 1) return false;
    this.map.pan(across * PAN_SHARE * clientWidth, down * PAN_SHARE * clientHeight);
    return true;
  }

  /** Select no images: the line drawn around them goes. */
  forget() {
    if (this.drawn) this.drop();
    else view.set({ lasso: null });
  }
}
