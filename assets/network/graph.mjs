/**
 * The network along the top of the page: the component NetworkGraph.
 *
 *     subject, view.fold ──graph.svg──► parsed as XML, imported ──► one <g> that is moved and scaled
 *                    view.layer ──► the mark, without a request
 *     click, keys, select ──► view.set({layer}) or view.set({fold})
 *
 * What is drawn, and where, is decided by components/network_graph/; this file only moves, marks and tells.
 */
import { api } from "mloscope/base/addresses.mjs";
import { element, mounted } from "mloscope/base/dom.mjs";
import { fetchAnswer } from "mloscope/base/http.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";

const CACHED_PICTURES = 24;
const SMALLEST = 0.15; // zoom, in screen pixels for a pixel of the picture
const LARGEST = 3;
const READABLE = 0.8;
const COMFORTABLE = 1.15;
const CLICK_SLACK_PX = 4;
const KEPT_VISIBLE_PX = 60;
const MOVE_MS = 220;
const AFTER_OPENING_MS = 350; // the second click of a double click does not hit what the first one made appear
const FOLD_CHARACTERS = 900; // the hash holds text of up to 1 000
const LEGEND = [
  ["convolution", "convolution"],
  ["dense", "dense"],
  ["pooling", "pooling"],
  ["merge", "merge"],
  ["helper", "helper"],
];

class Graph {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.pictures = new Map(); // url -> text, oldest first
    this.svg = null;
    this.world = null;
    this.size = { width: 0, height: 0 };
    this.at = { x: 0, y: 0, scale: 1 };
    this.wanted = null; // url
    this.openedAt = -Infinity;
    this.pointers = new Map();
    this.build();
    this.resizes = new ResizeObserver(() => this.resized());
    this.resizes.observe(this.stage);
    this.undo = [
      view.subscribe((now, changed) => {
        if (changed.includes("fold")) this.load();
        if (changed.includes("layer")) this.mark(true);
      }),
      onOpen((subject, isNew) => {
        if (isNew) this.pictures.clear();
        this.fillSelect(subject);
        this.load(isNew);
      }),
      () => this.resizes.disconnect(),
    ];
  }

  destroy() {
    this.destroyed = true;
    cancelAnimationFrame(this.drawing);
    cancelAnimationFrame(this.gliding);
    if (this.request) this.request.abort();
    this.undo.forEach((undo) => undo());
    this.root.replaceChildren();
  }

  build() {
    const button = (text, title, action) => {
      const made = element("button", { type: "button", class: "graph-button", title, "aria-label": title }, [text]);
      made.addEventListener("click", action);
      return made;
    };
    this.summary = element("span", { class: "graph-summary" });
    this.select = element("select", { class: "graph-select", title: "Go to a layer and select it", "aria-label": "Go to a layer" });
    this.select.addEventListener("change", () => this.choose(this.select.value));
    const legend = element(
      "span",
      { class: "graph-legend", "aria-hidden": "true" },
      LEGEND.map(([family, words]) => element("span", { class: `graph-family-${family}` }, [words])),
    );
    const tools = element("span", { class: "graph-tools" }, [
      button("−", "Zoom out (or Ctrl and wheel)", () => this.zoomBy(1 / 1.4)),
      button("+", "Zoom in (or Ctrl and wheel)", () => this.zoomBy(1.4)),
      button("Fit", "Show the whole network", () => this.glide(this.whole())),
    ]);
    this.stage = element("div", { class: "graph-stage", "data-own-keys": true, "data-state": "pending" });
    this.message = element("div", { class: "graph-message", role: "status", hidden: true });
    this.tip = element("div", { class: "graph-tip", role: "tooltip", hidden: true });
    const head = element("div", { class: "graph-head" }, [this.select, this.summary, legend, tools]);
    this.root.replaceChildren(head, this.stage, this.message, this.tip);
    const { stage } = this;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.up(event));
    stage.addEventListener("pointercancel", (event) => this.up(event));
    stage.addEventListener("pointerleave", () => this.hideTip());
    stage.addEventListener("click", (event) => this.click(event));
    stage.addEventListener("dblclick", (event) => this.doubleClick(event));
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("focusin", (event) => this.focused(event));
    stage.addEventListener("focusout", () => this.hideTip());
  }

  // -------------------------------------------------------------------------------------------- the picture

  /** The ids of the open blocks. */
  fold() {
    return view.get().fold.split(",").filter(Boolean);
  }

  setFold(ids) {
    const kept = [...ids];
    while (kept.join(",").length > FOLD_CHARACTERS) kept.shift();
    view.set({ fold: kept.join(",") }, { history: "replace" });
  }

  /**
   * Get the picture of the subject with the blocks open that view.fold names.
   * @param {boolean} [afresh] forget where the old picture stood
   * @param {string} [anchor] id of a block that keeps its place on the screen
   */
  async load(afresh = false, anchor = this.anchor) {
    if (!subject) return;
    const expanded = this.fold();
    const url = api(["runs", subject.run, "graph.svg"], { expanded: expanded.join(",") });
    if (url === this.wanted && this.svg && !afresh) return;
    this.wanted = url;
    if (this.request) this.request.abort();
    this.request = new AbortController();
    this.stage.dataset.state = "pending";
    try {
      let text = this.pictures.get(url);
      if (text === undefined) {
        const answer = await fetchAnswer(url, this.request.signal);
        text = await answer.text();
        this.pictures.set(url, text);
        if (this.pictures.size > CACHED_PICTURES) this.pictures.delete(this.pictures.keys().next().value);
      }
      if (this.destroyed || url !== this.wanted) return;
      this.show(text, afresh, anchor);
    } catch (error) {
      if (error.name !== "AbortError" && !this.destroyed && url === this.wanted) this.refuse(error.message);
    }
  }

  refuse(sentence) {
    const again = element("button", { type: "button", class: "graph-button" }, ["Try again"]);
    again.addEventListener("click", () => {
      this.wanted = null;
      this.load(!this.svg);
    });
    this.message.replaceChildren(`The network cannot be drawn: ${sentence} `, again);
    this.message.hidden = false;
    this.stage.dataset.state = "missing";
  }

  /** Put a picture on the stage. It is parsed as XML and imported: names in it are text, whatever they hold. */
  show(text, afresh, anchor) {
    const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
    const drawn = parsed.documentElement;
    if (drawn.localName !== "svg" || parsed.querySelector("parsererror")) {
      this.pictures.delete(this.wanted);
      this.refuse("the answer is not a picture.");
      return;
    }
    const before = anchor && this.placeOf(anchor);
    const first = !this.svg || afresh;
    const focus = this.stage.contains(document.activeElement) && document.activeElement !== this.stage;
    this.size = { width: Number(drawn.getAttribute("width")), height: Number(drawn.getAttribute("height")) };
    this.svg = document.importNode(drawn, true);
    for (const name of ["viewBox", "width", "height"]) this.svg.removeAttribute(name);
    this.world = this.svg.querySelector(".graph-world");
    this.nodes = [...this.svg.querySelectorAll(".graph-node, .graph-handle")];
    this.words = new Map();
    for (const title of this.svg.querySelectorAll("title")) {
      // The words are shown by the tooltip, at once; the browser's own would come a second time, late.
      this.words.set(title.parentNode, title.textContent);
      title.remove();
    }
    this.places = new Map(this.nodes.map((node) => [node, boxOf(node)]));
    this.hideTip();
    this.stage.replaceChildren(this.svg);
    this.message.hidden = true;
    this.stage.dataset.state = "ready";
    this.summary.textContent = inNumbers(subject.layers);
    this.mark(false);
    if (first) this.settle();
    else this.keepPlace(before, anchor);
    if (this.revealing) this.reveal(this.revealing);
    if (focus) this.focus(this.find(anchor) || this.marked() || this.nodes[0], false);
    this.anchor = undefined;
  }

  /** The box, in pixels of the picture, of what stands for a block: its node, or its frame. */
  boxOfBlock(id) {
    const frame = [...this.svg.querySelectorAll(".graph-frame")].find((candidate) => candidate.dataset.block === id);
    if (frame) {
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(frame.getAttribute(name)));
      return { x, y, width, height };
    }
    const node = this.nodes.find((candidate) => candidate.dataset.block === id);
    return node && this.places.get(node);
  }

  placeOf(id) {
    const box = this.svg && this.boxOfBlock(id);
    return box && { x: box.x * this.at.scale + this.at.x };
  }

  /** After opening or closing a block: its left edge stays where it was. */
  keepPlace(before, anchor) {
    const box = anchor && this.boxOfBlock(anchor);
    if (before && box) this.at.x = before.x - box.x * this.at.scale;
    const room = this.stage.clientHeight;
    if (this.size.height * this.at.scale > room) {
      const scale = Math.max(room / this.size.height, READABLE * 0.85);
      if (scale < this.at.scale) {
        if (box) this.at.x += box.x * (this.at.scale - scale);
        this.at.scale = scale;
      }
    }
    this.at.y = (room - this.size.height * this.at.scale) / 2;
    this.place(this.at);
  }

  // ------------------------------------------------------------------------------------------- where it is

  /** The whole network in the window. */
  whole() {
    const { clientWidth, clientHeight } = this.stage;
    const { width, height } = this.size;
    const scale = Math.min(COMFORTABLE, clientWidth / (width || 1), clientHeight / (height || 1));
    return { scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 };
  }

  /** As first shown: the whole network where that is readable, else from its left, or around the selected layer. */
  settle() {
    const whole = this.whole();
    if (whole.scale < READABLE) {
      const scale = Math.min(1, Math.max(READABLE, this.stage.clientHeight / this.size.height));
      whole.scale = scale;
      whole.x = 0;
      whole.y = (this.stage.clientHeight - this.size.height * scale) / 2;
    }
    this.moved = false;
    this.place(whole);
    const node = this.marked();
    if (node) this.place(this.bringing(node));
  }

  resized() {
    if (!this.svg || !this.stage.clientWidth) return;
    if (this.moved) this.place(this.at);
    else this.settle();
  }

  /** Where the picture has to stand so that a node is in the window; as it stands if it is already. */
  bringing(node) {
    const box = this.places.get(node);
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

  /** A place at which the picture cannot be lost: it fills the window as far as it can. */
  within({ x, y, scale }) {
    const kept = (offset, size, room) => {
      if (size <= room) return Math.min(Math.max(offset, 0), room - size);
      return Math.min(Math.max(offset, room - size), 0);
    };
    const { clientWidth, clientHeight } = this.stage;
    return { scale, x: kept(x, this.size.width * scale, clientWidth), y: kept(y, this.size.height * scale, clientHeight) };
  }

  place(wanted) {
    this.at = this.within(wanted);
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      const { x, y, scale } = this.at;
      if (this.world) this.world.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${scale.toFixed(5)})`);
    });
  }

  /** Move there within a moment, or at once for those who asked for less motion. */
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

  /** The place after zooming about a point of the stage. */
  zoomed(factor, x, y, from = this.at) {
    const scale = Math.min(LARGEST, Math.max(SMALLEST, from.scale * factor));
    const grown = scale / from.scale;
    return { scale, x: x - (x - from.x) * grown, y: y - (y - from.y) * grown };
  }

  zoomBy(factor) {
    if (!this.svg) return;
    this.moved = true;
    this.glide(this.zoomed(factor, this.stage.clientWidth / 2, this.stage.clientHeight / 2, this.goal || this.at));
  }

  // ----------------------------------------------------------------------------------- pointer, wheel, pinch

  local(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  wheel(event) {
    if (!this.svg) return;
    this.stopGliding();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? this.stage.clientWidth : 1;
    const before = { ...this.at };
    if (event.ctrlKey || event.metaKey) {
      const { x, y } = this.local(event);
      this.place(this.zoomed(Math.exp(Math.max(-60, Math.min(60, -event.deltaY * unit)) * 0.006), x, y));
      event.preventDefault();
    } else {
      // There is far more to the right than below: a plain wheel goes along the network.
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY;
      this.place({ ...this.at, x: this.at.x - sideways * unit });
      if (this.at.x !== before.x) event.preventDefault();
    }
    this.moved = true;
    this.hideTip();
  }

  down(event) {
    if (event.button !== 0 || !this.svg) return;
    this.stopGliding();
    this.pointers.set(event.pointerId, this.local(event));
    if (this.pointers.size === 1) this.dragged = 0;
    this.dragFrom = { ...this.at };
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
      if (event.pointerType === "mouse") this.tell(event.target, event);
      return;
    }
    this.pointers.set(event.pointerId, this.local(event));
    const now = this.middle();
    const start = this.dragStart;
    this.dragged = Math.max(this.dragged, Math.hypot(now.x - start.x, now.y - start.y), Math.abs(now.spread - start.spread));
    if (this.dragged < CLICK_SLACK_PX) return;
    // Captured only now: a captured pointer's click would go to the stage instead of the node.
    if (!this.stage.hasPointerCapture(event.pointerId)) this.stage.setPointerCapture(event.pointerId);
    this.stage.dataset.dragging = "";
    this.hideTip();
    this.moved = true;
    const shifted = { ...this.dragFrom, x: this.dragFrom.x + now.x - start.x, y: this.dragFrom.y + now.y - start.y };
    this.place(start.spread && now.spread ? this.zoomed(now.spread / start.spread, now.x, now.y, shifted) : shifted);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    delete this.stage.dataset.dragging;
    if (this.pointers.size) {
      this.dragFrom = { ...this.at };
      this.dragStart = this.middle();
    }
  }

  click(event) {
    if (this.dragged >= CLICK_SLACK_PX) return;
    if (event.timeStamp - this.openedAt < AFTER_OPENING_MS) return;
    const node = event.target.closest(".graph-node, .graph-handle");
    if (node) this.activate(node, event.timeStamp);
  }

  /** A double click on the ground of an open block closes it. */
  doubleClick(event) {
    if (event.timeStamp - this.openedAt < AFTER_OPENING_MS * 2) return;
    const frame = event.target.closest(".graph-frame");
    if (frame) this.toggle(frame.dataset.block);
  }

  // ------------------------------------------------------------------------------------- selecting, opening

  activate(node, time = performance.now()) {
    if (node.dataset.layer !== undefined) {
      this.focus(node, false);
      view.set({ layer: node.dataset.layer }, { history: "push" });
      return;
    }
    this.openedAt = time;
    this.focus(node, false);
    this.toggle(node.dataset.block);
  }

  toggle(id) {
    const open = this.fold();
    this.anchor = id;
    this.hideTip();
    this.moved = true;
    this.stopGliding();
    this.setFold(open.includes(id) ? open.filter((other) => other !== id) : [...open, id]);
  }

  /** Select a layer wherever it is: the blocks it is in are opened. */
  choose(layer) {
    view.set({ layer }, { history: "push" });
    this.reveal(layer);
  }

  reveal(layer) {
    this.revealing = null;
    const block = this.nodes.find((node) => node.dataset.block && this.members(node).includes(layer));
    if (block) {
      this.revealing = layer;
      this.toggle(block.dataset.block);
      return;
    }
    const node = this.nodeOf(layer);
    if (node) this.glide(this.bringing(node));
  }

  members(node) {
    return node.dataset.members ? JSON.parse(node.dataset.members) : [];
  }

  nodeOf(layer) {
    return this.nodes.find((node) => node.dataset.layer === layer);
  }

  find(id) {
    return id && this.nodes.find((node) => node.dataset.block === id);
  }

  /** What stands for the selected layer: itself, or the folded block it is in. */
  marked() {
    return this.nodes && this.nodes.find((node) => node.matches(".graph-selected, .graph-holds-selected"));
  }

  /** Mark the selected layer; no request is made for it. */
  mark(bring) {
    const { layer } = view.get();
    this.select.value = layer;
    if (!this.svg) return;
    for (const node of this.nodes) {
      const chosen = node.dataset.layer === layer;
      node.classList.toggle("graph-selected", chosen);
      node.classList.toggle("graph-holds-selected", this.members(node).includes(layer));
      if (node.dataset.layer !== undefined) node.setAttribute("aria-pressed", chosen);
    }
    const node = this.marked();
    this.rove(this.stage.contains(document.activeElement) ? document.activeElement : node || this.nodes[0]);
    if (bring && node && !this.pointers.size) this.glide(this.bringing(node));
  }

  fillSelect(subject) {
    this.select.replaceChildren(...subject.layers.map((layer) => element("option", { value: layer.name }, [layer.name])));
    this.select.value = view.get().layer;
  }

  // ---------------------------------------------------------------------------------------------- keyboard

  /** One node at a time is in the page's tab order. */
  rove(node) {
    if (this.roving) this.roving.setAttribute("tabindex", "-1");
    this.roving = this.nodes.includes(node) ? node : this.nodes[0];
    if (this.roving) this.roving.setAttribute("tabindex", "0");
  }

  focus(node, bring = true) {
    if (!node) return;
    this.rove(node);
    node.focus({ preventScroll: true });
    if (bring) this.glide(this.bringing(node));
  }

  focused(event) {
    if (!this.nodes || !this.nodes.includes(event.target)) return;
    this.rove(event.target);
    if (!event.target.matches(":focus-visible")) return;
    this.glide(this.bringing(event.target));
    this.tell(event.target);
  }

  key(event) {
    const node = event.target.closest && event.target.closest(".graph-node, .graph-handle");
    if (!node || event.altKey || event.ctrlKey || event.metaKey) return;
    const main = this.nodes.filter((candidate) => candidate.dataset.main);
    const actions = {
      ArrowRight: () => this.focus(this.along(node, 1)),
      ArrowLeft: () => this.focus(this.along(node, -1)),
      ArrowUp: () => this.focus(this.across(node, -1)),
      ArrowDown: () => this.focus(this.across(node, 1)),
      Home: () => this.focus(main[0]),
      End: () => this.focus(main[main.length - 1]),
      Enter: () => this.activate(node),
      " ": () => this.activate(node),
      Escape: () => this.closeAround(node),
      "+": () => this.zoomBy(1.4),
      "-": () => this.zoomBy(1 / 1.4),
    };
    if (!actions[event.key]) return;
    actions[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  /** The next node to the right or left on the main way. */
  along(node, direction) {
    const here = centre(this.places.get(node));
    const beyond = this.nodes
      .filter((candidate) => candidate.dataset.main && candidate !== node)
      .map((candidate) => [candidate, (centre(this.places.get(candidate)).x - here.x) * direction])
      .filter(([, distance]) => distance > 0.5)
      .sort((a, b) => a[1] - b[1]);
    return beyond.length ? beyond[0][0] : node;
  }

  /** The nearest node or header above or below. */
  across(node, direction) {
    const here = centre(this.places.get(node));
    const cost = (candidate) => {
      const there = centre(this.places.get(candidate));
      return (there.y - here.y) * direction <= 4 ? Infinity : Math.abs(there.y - here.y) + 2 * Math.abs(there.x - here.x);
    };
    const found = this.nodes.map((candidate) => [candidate, cost(candidate)]).sort((a, b) => a[1] - b[1]);
    return found.length && found[0][1] < Infinity ? found[0][0] : node;
  }

  /** Close the innermost open block around a node. */
  closeAround(node) {
    const { x, y } = centre(this.places.get(node));
    const around = [...this.svg.querySelectorAll(".graph-frame")]
      .map((frame) => [frame.dataset.block, this.boxOfBlock(frame.dataset.block)])
      .filter(([, box]) => x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height)
      .sort((a, b) => a[1].width * a[1].height - b[1].width * b[1].height);
    if (around.length) this.toggle(around[0][0]);
  }

  // ----------------------------------------------------------------------------------------------- tooltip

  /** Say what is under the pointer, or focused. */
  tell(target, event = null) {
    const node = target.closest && target.closest(".graph-node, .graph-handle");
    const words = node && this.words.get(node);
    if (!words) {
      this.hideTip();
      return;
    }
    if (this.told !== node) {
      this.told = node;
      this.tip.replaceChildren(...words.split("\n").map((line, i) => element(i ? "div" : "strong", {}, [line])));
      this.tip.hidden = false;
    }
    const root = this.root.getBoundingClientRect();
    const box = node.getBoundingClientRect();
    const x = (event ? event.clientX + 12 : box.left) - root.left;
    const y = Math.min(box.bottom, root.bottom) - root.top + 8;
    this.tip.style.left = `${Math.max(4, Math.min(x, root.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${y}px`;
  }

  hideTip() {
    this.told = null;
    this.tip.hidden = true;
  }
}

function centre(box) {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/** Where a node stands, from what the picture says, without asking for layout. */
function boxOf(node) {
  const [, x, y] = /translate\(([-\d.]+) ([-\d.]+)\)/.exec(node.getAttribute("transform"));
  const ground = node.querySelector(".graph-body, .graph-handle-ground");
  const side = ground.localName === "circle" ? 2 * Number(ground.getAttribute("r")) : null;
  return {
    x: Number(x),
    y: Number(y),
    width: side || Number(ground.getAttribute("width")),
    height: side || Number(ground.getAttribute("height")),
  };
}

function inNumbers(layers) {
  const parameters = layers.reduce((sum, layer) => sum + (layer.parameter_count || 0), 0);
  const short =
    parameters >= 1e6
      ? `${(parameters / 1e6).toFixed(1)} million`
      : parameters >= 1e4
        ? `${Math.round(parameters / 1e3)} thousand`
        : parameters;
  return `${layers.length} layers, ${short} parameters`;
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string}} props
 */
export const NetworkGraph = (props) => mounted("graph", mount, props);

function mount(root) {
  const graph = new Graph(root);
  return () => graph.destroy();
}
