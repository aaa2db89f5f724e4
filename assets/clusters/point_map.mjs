/**
 * All images on a map, at the step of the time bus: the component PointMap.
 *
 * Every frame is drawn from points that are here already. data-step and data-state on the canvas say whose points they are:
 * ready, pending or missing. Dragging draws a line around images; a click selects the nearest one.
 */
import { element, grouped, mounted } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { marks } from "mloscope/clusters/marks.mjs";
import { pointDraw } from "mloscope/clusters/point_draw.mjs";
import { clusters } from "mloscope/clusters/points.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

const MARGIN_PX = 14;
const REACH_PX = 9; // how far from the pointer an image may lie to be meant
const DRAG_PX = 4;
const MOST_ZOOM = 64;
const ZOOM_STEP = 1.5; // of a key or a button
const ZOOM_PER_PX = 0.0015; // of the wheel, as a power of e
const PAN_SHARE = 0.1; // of what is in view, for an arrow key
const KEEP_MS = 250; // until the address has what is in view
const PICTURE_PX = 56;
const HOVER_MS = 60; // before a picture is asked for
const LEGEND_NAMES = 20;
const GREY = 15; // group of images that have no class, prediction or cluster
const PLAIN = 0;
const FADED = 16;
const RAISED = 32;
const ALPHA = { [PLAIN]: 190, [FADED]: 26, [RAISED]: 255 };
const COLOURINGS = [
  ["class", "class"],
  ["prediction", "predicted class"],
  ["cluster", "cluster"],
];

class MovingMap {
  constructor(root, props) {
    this.root = root;
    marks.colours = props.colours || marks.colours;
    this.kind = props.kind;
    this.lens = lensOf("");
    this.build();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.stage);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.undo = [
      clusters.follow((data) => this.take(data)),
      time.subscribe(() => this.draw()),
      view.subscribe((_, changed) => changed.some((key) => WATCHED.has(key)) && this.take(this.data)),
      time.addGate(
        (index) => this.gate(index),
        () => "waiting for the map",
      ),
      () => this.sizes.disconnect(),
      () => this.themes.disconnect(),
      () => clearTimeout(this.hovering),
      () => clearTimeout(this.keeping),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.colouring = element(
      "select",
      { class: "form-select", title: "What the colour of a point says", "aria-label": "Colour of the points" },
      COLOURINGS.map(([value, text]) => element("option", { value }, [text])),
    );
    this.colouring.addEventListener("change", () => view.set({ "point-colour": this.colouring.value }));
    this.free = element("button", { type: "button", class: "cluster-button", title: "Forget the line drawn around images (Escape)" }, [
      "forget the lasso",
    ]);
    this.free.addEventListener("click", () => view.set({ lasso: null }));
    this.hint = element("span", { class: "points-hint" }, ["drag: lasso · click: select · wheel: zoom · Shift-drag: move"]);
    const button = (text, title, act) => {
      const made = element("button", { type: "button", class: "cluster-button", title, "aria-label": title }, [text]);
      made.addEventListener("click", act);
      return made;
    };
    this.zooms = element("span", { class: "points-zooms", role: "group", "aria-label": "What part of the map is in view" }, [
      button("−", "Show more of the map (−)", () => this.zoom(1 / ZOOM_STEP)),
      button("fit", "Show the whole map (0)", () => this.look({ x: 0.5, y: 0.5, zoom: 1 })),
      button("+", "Magnify the map (+)", () => this.zoom(ZOOM_STEP)),
      button("choose what is in view", "Lasso all images in view (L)", () => this.lassoView()),
    ]);
    this.canvas = element("canvas", {
      class: "points-canvas", tabindex: "0", role: "img",
      "aria-label": "Map of all images by their class probabilities. Plus and minus magnify, arrows move, L chooses the images in view.",
    }); // prettier-ignore
    this.trail = element("svg:path", { class: "points-trail" });
    this.line = element("svg:path", { class: "points-lasso" });
    this.ring = element("svg:circle", { class: "points-ring", r: 6 });
    this.overlay = element("svg:svg", { class: "points-overlay", "aria-hidden": "true" }, [this.trail, this.line, this.ring]);
    this.tip = element("div", { class: "points-tip", hidden: true });
    this.message = element("p", { class: "points-message", role: "status", hidden: true });
    this.stage = element("div", { class: "points-stage" }, [this.canvas, this.overlay, this.message, this.tip]);
    this.legend = element("div", { class: "points-legend" });
    this.root.append(
      element("div", { class: "points-tools" }, [
        element("label", { class: "tool" }, [element("span", {}, ["colour by"]), this.colouring]),
        this.zooms,
        this.free,
        this.hint,
      ]),
      this.stage,
      this.legend,
    );
    this.renderer = pointDraw.renderer(this.canvas, this.kind);
    this.canvas.dataset.renderer = this.renderer.kind;
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 16 : 1) * ZOOM_PER_PX), this.at(event));
      },
      { passive: false },
    );
  }

  // ------------------------------------------------------------------------------------------------------ drawing

  take(data) {
    if (!data) return;
    this.data = data;
    this.view = view.get();
    if (!this.keeping) this.lens = lensOf(this.view["map-area"]);
    this.colouring.value = this.view["point-colour"];
    this.free.disabled = !this.view.lasso; // not hidden: the row above the map keeps its height
    this.tellLegend();
    this.draw();
    this.drawTrail();
  }

  gate(index) {
    if (!this.data || !this.data.made || this.data.points(index)) return true;
    return this.data.reason(index, "pointChunks") === null ? false : "missing";
  }

  resize() {
    const { clientWidth, clientHeight } = this.stage;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(clientWidth * ratio));
    const height = Math.max(1, Math.round(clientHeight * ratio));
    if (width !== this.canvas.width || height !== this.canvas.height) Object.assign(this.canvas, { width, height });
    this.overlay.setAttribute("viewBox", `0 0 ${clientWidth} ${clientHeight}`);
    this.draw();
    this.drawTrail();
  }

  /** Where the whole map lies, in CSS pixels of the stage: as large as it goes, a unit as long across as down, then magnified. */
  box(points) {
    const { clientWidth, clientHeight } = this.stage;
    const spanX = points.xRange[1] - points.xRange[0];
    const spanY = points.yRange[1] - points.yRange[0];
    const scale = Math.max(1e-9, Math.min((clientWidth - 2 * MARGIN_PX) / spanX, (clientHeight - 2 * MARGIN_PX) / spanY));
    const { x, y, zoom } = this.lens;
    const [width, height] = [spanX * scale * zoom, spanY * scale * zoom];
    return { x: clientWidth / 2 - x * width, y: clientHeight / 2 - (1 - y) * height, width, height };
  }

  // --------------------------------------------------------------------------------------------------- what is in view

  /** @param {{x: number, y: number, zoom: number}} lens the middle of what is in view, from 0 to 1 across and up, and how often magnified */
  look({ x, y, zoom }) {
    this.lens = zoom > 1 ? { x: within(x, 0, 1), y: within(y, 0, 1), zoom: Math.min(zoom, MOST_ZOOM) } : { x: 0.5, y: 0.5, zoom: 1 };
    this.draw();
    this.drawTrail();
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      this.keeping = 0;
      view.set({ "map-area": textOf(this.lens) }, { history: "replace" });
    }, KEEP_MS);
  }

  /** Magnify so that what lies at a place of the stage, its middle by default, stays there. */
  zoom(factor, [left, top] = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
    if (!this.shown) return;
    const { clientWidth, clientHeight } = this.stage;
    const box = this.box(this.shown);
    const zoom = within(this.lens.zoom * factor, 1, MOST_ZOOM);
    const grown = zoom / this.lens.zoom;
    const x = (left - box.x) / box.width - (left - clientWidth / 2) / (box.width * grown);
    const y = 1 - (top - box.y) / box.height + (top - clientHeight / 2) / (box.height * grown);
    this.look({ x, y, zoom });
  }

  /** Move by so many pixels of the stage. */
  pan(across, down, from = this.lens) {
    const box = this.box(this.shown);
    this.look({ x: from.x - across / box.width, y: from.y + down / box.height, zoom: from.zoom });
  }

  lassoView() {
    if (!this.shown) return;
    const { clientWidth, clientHeight } = this.stage;
    this.lasso([[0, 0], [clientWidth, 0], [clientWidth, clientHeight], [0, clientHeight]]); // prettier-ignore
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { clientWidth, clientHeight } = this.stage;
    const pan = (across, down) => this.pan(across * PAN_SHARE * clientWidth, down * PAN_SHARE * clientHeight);
    const forget = () => (this.drawn ? this.drop() : view.set({ lasso: null }));
    const moves = { ArrowLeft: () => pan(1, 0), ArrowRight: () => pan(-1, 0), ArrowUp: () => pan(0, 1), ArrowDown: () => pan(0, -1) };
    const acts = {
      Escape: forget, "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => this.look({ x: 0.5, y: 0.5, zoom: 1 }), l: () => this.lassoView(),
      ...(this.lens.zoom > 1 ? moves : {}), // of the whole map there is nothing to move: the arrows are the timeline's
    }; // prettier-ignore
    const act = this.shown && acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  draw() {
    const { data, canvas } = this;
    if (!data || canvas.width < 2) return;
    const { index, step } = time;
    const points = data.points(index);
    const reason = points ? null : data.reason(index, "pointChunks");
    canvas.dataset.state = points ? "ready" : reason === null ? "pending" : "missing";
    canvas.dataset.step = step;
    this.message.hidden = Boolean(points);
    if (!points) this.message.textContent = reason === null ? "The map is on its way …" : reason;
    this.shown = points;
    this.root.classList.toggle("points-none", !points);
    this.hide();
    if (!points) {
      this.renderer.draw({ ...this.nothing(), box: { x: 0, y: 0, width: 1, height: 1 }, size: 1 });
      this.ring.setAttribute("visibility", "hidden");
      return;
    }
    const ratio = canvas.width / this.stage.clientWidth;
    const box = this.box(points);
    this.renderer.draw({
      x: points.x,
      y: points.y,
      group: this.groups(points),
      ...this.palette(),
      box: { x: box.x * ratio, y: box.y * ratio, width: box.width * ratio, height: box.height * ratio },
      size: pointSize(points.images) * ratio,
    });
    this.drawRing();
  }

  nothing() {
    return { x: new Int16Array(0), y: new Int16Array(0), group: new Uint8Array(0), ...this.palette() };
  }

  /** Which colour each image has, and whether it stands out: the same buffer every time. */
  groups({ images, cluster, predicted }) {
    if (!this.group || this.group.length !== images) this.group = new Uint8Array(images);
    const { group, view, data } = this;
    const colours = marks.colours.length;
    const { NONE } = clusters;
    const kind = view["point-colour"];
    const labels = data.images && data.images.labels;
    const chosen = kind === "cluster" ? cluster : kind === "prediction" ? predicted : labels;
    const caught = view.lasso ? data.lassoed(view.lasso) : null;
    const wanted = view.cluster;
    const isFocused = Boolean(caught) || wanted !== null;
    for (let image = 0; image < images; image += 1) {
      const number = chosen ? chosen[image] : NONE;
      const colour = number === NONE || number < 0 ? GREY : number % colours;
      const stands = isFocused && (caught ? caught.set.has(image) : cluster[image] === wanted);
      group[image] = colour + (isFocused ? (stands ? RAISED : FADED) : PLAIN);
    }
    return group;
  }

  palette() {
    const palette = new Uint8Array(256 * 4);
    const raised = new Uint8Array(256);
    const grey = document.documentElement.dataset.theme === "dark" ? 150 : 110;
    const colours = marks.rgb();
    for (const level of [PLAIN, FADED, RAISED]) {
      for (let number = 0; number < 16; number += 1) {
        palette.set([...(colours[number] || [grey, grey, grey]), ALPHA[level]], (level + number) * 4);
        raised[level + number] = level === RAISED ? 1 : 0;
      }
    }
    return { palette, raised };
  }

  /** Where a point of the map is on the stage, in CSS pixels. */
  spot(points, position) {
    if (points.x[position] === clusters.NO_COORDINATE) return null;
    const box = this.box(points);
    return [box.x + ((points.x[position] + 32767) / 65534) * box.width, box.y + ((32767 - points.y[position]) / 65534) * box.height];
  }

  /** The selected image's way through all steps, as far as they have come. */
  drawTrail() {
    const { data } = this;
    const position = data ? data.positionOf(this.view.image) : -1;
    const way = position < 0 ? [] : data.allPoints().map((points) => points && this.spot(points, position));
    let text = "";
    way.forEach((spot, at) => {
      if (spot) text += `${at && way[at - 1] ? "L" : "M"}${spot[0].toFixed(1)} ${spot[1].toFixed(1)}`;
    });
    this.trail.setAttribute("d", text);
    this.drawLine();
  }

  drawLine(corners = this.drawn) {
    if (corners) {
      this.line.setAttribute("d", `M${corners.map((corner) => corner.join(" ")).join("L")}Z`);
      return;
    }
    const outline = clusters.outline(this.view && this.view.lasso);
    const isHere = outline && this.shown && outline.step === time.step;
    if (!isHere) {
      this.line.setAttribute("d", "");
      return;
    }
    const box = this.box(this.shown);
    const place = ([x, y]) => [box.x + ((x + 32767) / 65534) * box.width, box.y + ((32767 - y) / 65534) * box.height];
    this.line.setAttribute(
      "d",
      `M${outline.corners
        .map((corner) =>
          place(corner)
            .map((n) => n.toFixed(1))
            .join(" "),
        )
        .join("L")}Z`,
    );
  }

  drawRing() {
    const position = this.data.positionOf(this.view.image);
    const spot = position < 0 ? null : this.spot(this.shown, position);
    this.ring.setAttribute("visibility", spot ? "visible" : "hidden");
    if (spot) {
      this.ring.setAttribute("cx", spot[0]);
      this.ring.setAttribute("cy", spot[1]);
    }
    this.drawLine();
  }

  tellLegend() {
    const { data, legend } = this;
    const kind = this.view["point-colour"];
    const shown = data.points(time.index);
    const names = kind === "cluster" ? [] : data.classNames;
    const key = JSON.stringify([kind, names, Boolean(shown), this.view.lasso]);
    if (key === this.told) return;
    this.told = key;
    const items =
      names.length > LEGEND_NAMES
        ? []
        : names.map((name, number) => element("span", { class: "points-name" }, [colourDot(marks.colour(number)), name]));
    const said = [];
    if (names.length > LEGEND_NAMES)
      said.push(`${grouped(names.length)} classes share ${marks.colours.length} colours; the pointer says which.`);
    else if (names.length > marks.colours.length) said.push(`Colours repeat after ${marks.colours.length}.`);
    if (kind === "cluster") said.push("Colours as in the rows.");
    if (shown) {
      const [first, second] = shown.explained.map((share) => `${Math.round(share * 100)} %`);
      said.push(`Principal components of the class probabilities at all steps together: ${first} of their variance across, ${second} up.`);
    }
    legend.replaceChildren(...items, element("span", { class: "points-said" }, [said.join(" ")]));
  }

  // ------------------------------------------------------------------------------------------------------ pointer

  /** Position of the image nearest to a place on the stage, -1 where none is near. */
  nearest(left, top) {
    const points = this.shown;
    if (!points) return -1;
    const box = this.box(points);
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

  at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  press(event) {
    const grabs = event.button === 1 || (event.button === 0 && event.shiftKey);
    if (!(event.button === 0 || grabs) || !this.shown) return;
    event.preventDefault(); // of the middle button: no scrolling by itself
    this.canvas.focus({ preventScroll: true });
    if (grabs) this.grabbed = { at: this.at(event), lens: this.lens };
    else this.start = this.at(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.hide();
  }

  move(event) {
    const here = this.at(event);
    if (this.grabbed) {
      const { at, lens } = this.grabbed;
      this.pan(here[0] - at[0], here[1] - at[1], lens);
      return;
    }
    if (!this.start) {
      this.hover(here);
      return;
    }
    if (!this.drawn && Math.hypot(here[0] - this.start[0], here[1] - this.start[1]) < DRAG_PX) return;
    this.drawn = this.drawn || [this.start];
    this.drawn.push(here.map((n) => Math.round(n * 10) / 10));
    this.drawLine();
  }

  release(event) {
    const { drawn, start } = this;
    this.drop();
    if (!start || !this.shown) return;
    if (!drawn || drawn.length < 3) {
      const position = this.nearest(...this.at(event));
      if (position >= 0 && this.data.images) view.set({ image: this.data.images.ids[position] });
      return;
    }
    this.lasso(drawn);
  }

  /** Choose the images within a line. @param {number[][]} corners in pixels of the stage */
  lasso(corners) {
    const box = this.box(this.shown);
    const code = ([x, y]) => [((x - box.x) / box.width) * 65534 - 32767, 32767 - ((y - box.y) / box.height) * 65534];
    view.set({ lasso: clusters.lasso(time.step, corners.map(code)) });
  }

  drop() {
    this.start = this.drawn = this.grabbed = null;
    this.drawLine();
  }

  leave() {
    if (!this.start) this.hide();
  }

  hide() {
    clearTimeout(this.hovering);
    this.hovered = -1;
    this.tip.hidden = true;
    this.canvas.style.cursor = "";
  }

  hover([left, top]) {
    const position = this.nearest(left, top);
    this.canvas.style.cursor = position < 0 ? "" : "pointer";
    if (position === this.hovered) return;
    this.hide();
    if (position < 0) return;
    this.hovered = position;
    this.hovering = setTimeout(() => this.tell(position, left, top), HOVER_MS);
  }

  tell(position, left, top) {
    const { data, shown, tip } = this;
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
    const { clientWidth, clientHeight } = this.stage;
    const x = left + 14 + tip.offsetWidth > clientWidth ? left - 14 - tip.offsetWidth : left + 14;
    const y = Math.min(top + 10, clientHeight - tip.offsetHeight);
    tip.style.transform = `translate(${Math.max(0, x)}px, ${Math.max(0, y)}px)`;
  }
}

const WATCHED = new Set(["cluster", "point-colour", "image", "lasso", "map-area"]);

const within = (value, least, most) => Math.min(most, Math.max(least, value));

/** @param {string} text "0.25,0.5,4" @returns {{x: number, y: number, zoom: number}} the whole map where it says nothing else */
function lensOf(text) {
  const [x, y, zoom] = (text || "").split(",").map(Number);
  return zoom > 1 && x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { x, y, zoom: Math.min(zoom, MOST_ZOOM) } : { x: 0.5, y: 0.5, zoom: 1 };
}

const textOf = ({ x, y, zoom }) => (zoom > 1 ? [x, y, zoom].map((number) => String(Number(number.toFixed(4)))).join(",") : "");

function pointSize(images) {
  return Math.max(2, Math.min(6, 90 / Math.sqrt(images)) + 1.5);
}

function colourDot(colour) {
  const dot = element("span", { class: "points-dot" });
  dot.style.background = colour;
  return dot;
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, colours: string[], kind: ?string}} props kind: "pixels" to do without WebGL
 */
export const PointMap = (props) => mounted("points", mount, props);

function mount(root, props) {
  const map = new MovingMap(root, props);
  return () => map.destroy();
}
