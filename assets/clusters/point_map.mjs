/**
 * All images on a map, at the step of the time bus: the component PointMap.
 *
 * Every frame is drawn from points that are here already. data-step and data-state on the canvas say whose points they are:
 * ready, pending or missing. Dragging draws a line around images; a click selects the nearest one.
 */
import { labelled, select } from "mloscope/base/controls.mjs";
import { button, component, element } from "mloscope/base/dom.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { MOST_ZOOM, WHOLE, allowed, lensOf, textOf, within } from "mloscope/clusters/lens.mjs";
import { MapHand, ZOOM_STEP } from "mloscope/clusters/map_hand.mjs";
import { MapLegend } from "mloscope/clusters/map_legend.mjs";
import { LackingMap } from "mloscope/clusters/lacking_map.mjs";
import { MapPictures } from "mloscope/clusters/map_pictures.mjs";
import { marks } from "mloscope/clusters/marks.mjs";
import { pointDraw } from "mloscope/clusters/point_draw.mjs";
import { clusters } from "mloscope/clusters/points.mjs";

const MARGIN_PX = 14;
const KEEP_MS = 250; // until the address has what is in view
const GREY = 15; // group of images that have no class, prediction or cluster
const PLAIN = 0;
const FADED = 16;
const RAISED = 32;
const ALPHA = { [PLAIN]: 190, [FADED]: 26, [RAISED]: 255 };
const WATCHED = new Set(["cluster", "point-colour", "image", "lasso", "map", "map-area", "map-marks"]);

class MovingMap {
  /** @type {any} the ClusterData of what the page is about */ data;
  /** @type {any} */ view;
  /** @type {any} the points that are drawn */ shown;
  group = new Uint8Array(0);
  lens = lensOf("");
  keeping = 0;

  constructor(root, props) {
    this.root = root;
    this.colouring = choice("point-colour", "What the colour of a point says", "Colour of the points");
    this.placing = choice("map", "How images are placed on the map", "Kind of map", { "map-area": null, lasso: null });
    this.marking = choice("map-marks", "What stands for an image on the map", "Marks of the images");
    this.free = button("cluster-button", "Clear selection", "Clear the line drawn around images (Esc)", () => view.set({ lasso: null }));
    this.canvas = element("canvas", {
      class: "points-canvas", tabindex: "0", role: "img", "data-own-keys": true,
      "aria-label": "Map of all images by their class probabilities. Plus and minus magnify, arrows move, L selects the images in view.",
    }); // prettier-ignore
    this.trail = element("svg:path", { class: "points-trail" });
    this.line = element("svg:path", { class: "points-lasso" });
    this.ring = element("svg:circle", { class: "points-ring", r: 6 });
    this.overlay = element("svg:svg", { class: "points-overlay", "aria-hidden": "true" }, [this.trail, this.line, this.ring]);
    this.message = element("p", { class: "points-message", role: "status", hidden: true });
    this.lacking = new LackingMap(this);
    this.pictures = new MapPictures(this);
    this.hand = new MapHand(this);
    this.stage = element("div", { class: "points-stage" }, [
      this.canvas,
      this.pictures.node,
      this.overlay,
      this.message,
      this.lacking.node,
      this.hand.tip,
    ]);
    this.legend = new MapLegend();
    root.append(this.tools(), this.stage, this.legend.node);
    this.renderer = pointDraw.renderer(this.canvas, props.kind);
    this.canvas.dataset.renderer = this.renderer.kind;
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.stage);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.undo = [
      clusters.follow((data) => this.take(data)),
      time.subscribe(() => this.draw()),
      time.onSettled(() => this.pictures.choose()),
      view.subscribe((_, changed) => changed.some((key) => WATCHED.has(key)) && this.take(this.data)),
      time.addGate(
        (index) => this.gate(index),
        () => "waiting for the map",
      ),
      () => this.sizes.disconnect(),
      () => this.themes.disconnect(),
      () => this.hand.destroy(),
      () => clearTimeout(this.keeping),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  /** The row above the map. */
  tools() {
    const zooms = element("span", { class: "points-zooms", role: "group", "aria-label": "What part of the map is in view" }, [
      button("cluster-button", "−", "Show more of the map (−)", () => this.zoom(1 / ZOOM_STEP)),
      button("cluster-button", "fit", "Show the whole map (0)", () => this.look(WHOLE)),
      button("cluster-button", "+", "Magnify the map (+)", () => this.zoom(ZOOM_STEP)),
      button("cluster-button", "Select visible points", "Select all images in view (L)", () => this.lassoView()),
    ]);
    return element("div", { class: "points-tools" }, [
      labelled("map", this.placing),
      labelled("colour by", this.colouring),
      labelled("show", this.marking),
      zooms,
      this.free,
      element("span", { class: "points-hint" }, ["drag: lasso · click: select · wheel: zoom · Shift-drag: move"]),
    ]);
  }

  take(data) {
    if (!data) return;
    this.data = data;
    this.view = view.get();
    if (!this.keeping) this.lens = lensOf(this.view["map-area"]);
    this.colouring.value = this.view["point-colour"];
    this.placing.value = this.view.map;
    this.marking.value = this.view["map-marks"];
    this.free.disabled = !this.view.lasso; // not hidden: the row above the map keeps its height
    const kind = this.view["point-colour"];
    this.legend.show(kind, kind === "cluster" ? [] : data.classNames, data.points(time.index));
    this.draw();
    this.drawTrail();
    if (!this.keeping && !time.playing) this.pictures.choose();
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

  /** @param {import("mloscope/clusters/lens.mjs").Lens} wanted */
  look(wanted) {
    this.lens = allowed(wanted);
    this.draw();
    this.drawTrail();
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      this.keeping = 0;
      this.pictures.choose();
      view.set({ "map-area": textOf(this.lens) }, { history: "replace" });
    }, KEEP_MS);
  }

  /** Magnify so that what lies at a place of the stage, its middle by default, stays there. */
  zoom(factor, /** @type {number[]} */ [left, top] = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
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

  /** Choose the images within a line. @param {number[][]} corners in pixels of the stage */
  lasso(corners) {
    const box = this.box(this.shown);
    const code = (/** @type {number[]} */ [x, y]) => [
      ((x - box.x) / box.width) * 65534 - 32767,
      32767 - ((y - box.y) / box.height) * 65534,
    ];
    view.set({ lasso: clusters.lasso(time.step, corners.map(code)) });
  }

  draw() {
    const { data, canvas } = this;
    if (!data || canvas.width < 2) return;
    const { index, step } = time;
    const points = data.points(index);
    const reason = points ? null : data.reason(index, "pointChunks");
    canvas.dataset.state = points ? "ready" : reason === null ? "pending" : "missing";
    canvas.dataset.step = step;
    const isLacking = this.lacking.show(data);
    this.message.hidden = Boolean(points) || isLacking;
    if (!points) this.message.textContent = reason === null ? "Loading the map …" : reason;
    this.shown = points;
    this.root.classList.toggle("points-none", !points);
    this.hand.hide();
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
    this.pictures.move();
  }

  nothing() {
    return { x: new Int16Array(0), y: new Int16Array(0), group: new Uint8Array(0), ...this.palette() };
  }

  /** Which colour each image has, and whether it stands out: the same buffer every time. */
  groups({ images, cluster, predicted }) {
    if (!this.group || this.group.length !== images) this.group = new Uint8Array(images);
    const { group, view, data } = this;
    const { NONE } = clusters;
    const kind = view["point-colour"];
    const { length } = marks.colours(kind);
    const labels = data.images && data.images.labels;
    const chosen = kind === "cluster" ? cluster : kind === "prediction" ? predicted : labels;
    const caught = view.lasso ? data.lassoed(view.lasso) : null;
    const wanted = view.cluster;
    const isFocused = Boolean(caught) || wanted !== null;
    for (let image = 0; image < images; image += 1) {
      const number = chosen ? chosen[image] : NONE;
      const colour = number === NONE || number < 0 ? GREY : number % length;
      const stands = isFocused && (caught ? caught.set.has(image) : cluster[image] === wanted);
      group[image] = colour + (isFocused ? (stands ? RAISED : FADED) : PLAIN);
    }
    return group;
  }

  /** The colour of an image's point, by position, in CSS; of those that have none: nothing. */
  colours() {
    const colours = marks.colours(this.view["point-colour"]);
    return (/** @type {number} */ position) => colours[this.group[position] % FADED] || "";
  }

  palette() {
    const palette = new Uint8Array(256 * 4);
    const raised = new Uint8Array(256);
    const grey = document.documentElement.dataset.theme === "dark" ? 150 : 110;
    const colours = marks.rgb(this.view["point-colour"]);
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

  /** The line around images: the one that is being drawn, else that of the view at its step. */
  drawLine(corners = this.hand.drawn) {
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
    const place = (/** @type {number[]} */ [x, y]) => [
      box.x + ((x + 32767) / 65534) * box.width,
      box.y + ((32767 - y) / 65534) * box.height,
    ];
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
}

/** A select for a value of the view; `others` are set along with it. */
const choice = (key, title, name, others = {}) =>
  select({ title, "aria-label": name }, view.choices(key), (value) => view.set({ ...others, [key]: value }));

function pointSize(images) {
  return Math.max(2, Math.min(6, 90 / Math.sqrt(images)) + 1.5);
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, kind: string | null}} props kind: "pixels" to do without WebGL
 */
export const PointMap = component("points", MovingMap);
