/**
 * The network along the top of the page: the component NetworkGraph.
 *
 *     subject, view.fold ──graph.svg──► parsed as XML, imported ──► one <g> that is moved and scaled
 *                    view.layer ──► the mark, without a request
 *     click, keys, select ──► view.set({layer}) or view.set({fold})
 *
 * What is drawn, and where, is decided by components/network_graph/; here it is only moved (camera.mjs, hand.mjs), marked and told.
 */
import { api } from "mloscope/base/addresses.mjs";
import { button, component, element, hit } from "mloscope/base/dom.mjs";
import { fetchAnswer } from "mloscope/base/http.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { Camera } from "mloscope/network/camera.mjs";
import { Hand } from "mloscope/network/hand.mjs";
import { Picture } from "mloscope/network/picture.mjs";
import { Tip } from "mloscope/network/tip.mjs";

const CACHED_PICTURES = 24;
const AFTER_OPENING_MS = 350; // the second click of a double click does not hit what the first one made appear
const FOLD_CHARACTERS = 900; // the hash holds text of up to 1 000
const ZOOM = 1.4;
const FAMILIES = ["convolution", "dense", "pooling", "merge", "helper"];

const graphKeys = keyTable("Network graph", [
  {
    keys: ["ArrowLeft", "ArrowRight"],
    does: "the layer before or after",
    act: ({ graph, node }, { key }) => graph.focus(graph.picture.along(node, key === "ArrowLeft" ? -1 : 1)),
  },
  {
    keys: ["ArrowUp", "ArrowDown"],
    does: "the layer beside, on another branch",
    act: ({ graph, node }, { key }) => graph.focus(graph.picture.across(node, key === "ArrowUp" ? -1 : 1)),
  },
  {
    keys: ["Home", "End"],
    does: "first or last layer",
    act: ({ graph }, { key }) => graph.focus(graph.picture.main().at(key === "Home" ? 0 : -1)),
  },
  { keys: ["Enter", " "], does: "select the layer; open or close the block", act: ({ graph, node }) => graph.activate(node) },
  { keys: ["Escape"], does: "close the block around", act: ({ graph, node }) => graph.closeAround(node) },
  { keys: ["+", "-"], does: "zoom in or out", act: ({ graph }, { key }) => graph.camera.zoomBy(key === "+" ? ZOOM : 1 / ZOOM) },
]);

class Graph {
  /** @type {Picture | null} */
  picture = null;
  /** @type {string | null} the address of the picture that is wanted */
  wanted = null;
  /** @type {string | undefined} the block that keeps its place on the screen when the next picture comes */
  anchor;
  /** @type {string | null} the layer to be brought into the window when its blocks are open */
  revealing = null;
  /** @type {Element | undefined} the node in the page's tab order */
  roving;
  /** @type {AbortController | undefined} */
  request;
  /** @type {Set<string>} blocks that were opened only to show the selected layer */
  revealed = new Set();
  destroyed = false;
  openedAt = -Infinity;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.pictures = new Map(); // url -> text, oldest first
    root.dataset.panel = "network"; // which assets/shell/panels.mjs folds
    this.stage = element("div", { class: "graph-stage", "data-own-keys": true, "data-state": "pending" });
    this.message = element("div", { class: "graph-message", role: "status", hidden: true });
    this.tip = new Tip(root);
    this.summary = element("span", { class: "graph-summary" });
    this.select = element("select", { class: "graph-select", title: "Go to a layer and select it", "aria-label": "Go to a layer" });
    this.camera = new Camera(this.stage);
    this.hand = new Hand(this.stage, this.camera, {
      point: (target, event) => this.tell(target, event),
      leave: () => this.tip.hide(),
    });
    root.replaceChildren(this.head(), this.stage, this.message, this.tip.node);
    this.listen();
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
    this.camera.destroy();
    if (this.request) this.request.abort();
    this.undo.forEach((undo) => undo());
    this.root.replaceChildren();
  }

  head() {
    const { camera } = this;
    const legend = FAMILIES.map((family) => element("span", { class: `graph-family-${family}` }, [family]));
    return element("div", { class: "graph-head panel-head" }, [
      this.select,
      this.summary,
      element("span", { class: "graph-legend", "aria-hidden": "true" }, legend),
      element("span", { class: "graph-tools" }, [
        button("graph-button", "−", "Zoom out (or Ctrl and wheel)", () => camera.zoomBy(1 / ZOOM)),
        button("graph-button", "+", "Zoom in (or Ctrl and wheel)", () => camera.zoomBy(ZOOM)),
        button("graph-button", "Fit", "Show the whole network", () => camera.glide(camera.whole())),
      ]),
    ]);
  }

  listen() {
    const { stage } = this;
    this.select.addEventListener("change", () => this.choose(this.select.value));
    stage.addEventListener("click", (event) => this.click(event));
    stage.addEventListener("dblclick", (event) => this.doubleClick(event));
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("focusin", (event) => this.focused(event));
    stage.addEventListener("focusout", () => this.tip.hide());
  }

  // -------------------------------------------------------------------------------------------- the picture

  /** The ids of the open blocks. */
  fold() {
    return view.get().fold.split(",").filter(Boolean);
  }

  /** @param {string[]} ids @param {"push" | "replace"} history */
  setFold(ids, history) {
    const kept = [...ids];
    while (kept.join(",").length > FOLD_CHARACTERS) kept.shift();
    view.set({ fold: kept.join(",") }, { history });
  }

  /** Blocks that are nowhere in the picture, for they lie in one that is closed or in another network, are not open. */
  prune() {
    const drawn = new Set(/** @type {Picture} */ (this.picture).frames().map((frame) => frame.dataset.block));
    const open = this.fold().filter((id) => drawn.has(id));
    if (open.length === this.fold().length) return;
    this.wanted = this.address(open);
    this.setFold(open, "replace");
  }

  address(open) {
    return api(["runs", subject.run, "graph.svg"], { expanded: open.join(",") });
  }

  /**
   * Get the picture of the subject with the blocks open that view.fold names.
   * @param {boolean} [afresh] forget where the old picture stood
   * @param {string} [anchor] id of a block that keeps its place on the screen
   */
  async load(afresh = false, anchor = this.anchor) {
    if (!subject) return;
    const url = this.address(this.fold());
    if (url === this.wanted && this.picture && !afresh) return;
    this.wanted = url;
    if (this.request) this.request.abort();
    this.request = new AbortController();
    this.stage.dataset.state = "pending";
    try {
      const text = await this.text(url, this.request.signal);
      if (this.destroyed || url !== this.wanted) return;
      this.show(text, afresh, anchor);
    } catch (error) {
      if (error.name !== "AbortError" && !this.destroyed && url === this.wanted) this.refuse(error.message);
    }
  }

  async text(url, signal) {
    if (!this.pictures.has(url)) {
      const answer = await fetchAnswer(url, signal);
      this.pictures.set(url, await answer.text());
      if (this.pictures.size > CACHED_PICTURES) this.pictures.delete(this.pictures.keys().next().value);
    }
    return this.pictures.get(url);
  }

  refuse(sentence) {
    const again = button("graph-button", "Try again", "Try again", () => {
      this.wanted = null;
      this.load(!this.picture);
    });
    this.message.replaceChildren(`The network cannot be drawn: ${sentence} `, again);
    this.message.hidden = false;
    this.stage.dataset.state = "missing";
  }

  /** Put a picture on the stage. */
  show(text, afresh, anchor) {
    const picture = Picture.read(text);
    if (!picture) {
      this.pictures.delete(this.wanted);
      this.refuse("the answer is not a picture.");
      return;
    }
    const { camera } = this;
    const old = this.picture && this.picture.boxOfBlock(anchor);
    const before = old ? old.x * camera.at.scale + camera.at.x : null;
    const first = !this.picture || afresh;
    const focus = this.stage.contains(document.activeElement) && document.activeElement !== this.stage;
    this.picture = picture;
    camera.show(picture.world, picture.size);
    this.takeHeight();
    this.tip.hide();
    this.stage.replaceChildren(picture.svg);
    this.message.hidden = true;
    this.stage.dataset.state = "ready";
    this.summary.textContent = inNumbers(subject.layers);
    this.mark(false);
    this.prune();
    if (first) this.settle();
    else camera.keepPlace(before, picture.boxOfBlock(anchor));
    if (this.revealing) this.reveal(this.revealing);
    if (focus) this.focus(picture.block(anchor) || picture.marked() || picture.nodes[0], false);
    this.anchor = undefined;
  }

  settle() {
    if (!this.picture) return;
    const marked = this.picture.marked();
    this.camera.settle(marked ? this.picture.box(marked) : null);
  }

  /** The strip is as high as the network needs; network_graph.css says within which limits. */
  takeHeight() {
    this.root.style.setProperty("--network-height", `${this.camera.wantedHeight()}px`);
  }

  resized() {
    if (!this.picture || !this.stage.clientWidth) return;
    this.takeHeight();
    if (this.camera.moved) this.camera.place(this.camera.at);
    else this.settle();
  }

  bring(node) {
    if (this.picture) this.camera.glide(this.camera.bringing(this.picture.box(node)));
  }

  // ------------------------------------------------------------------------------------- selecting, opening

  click(event) {
    if (this.hand.hasDragged) return;
    if (event.timeStamp - this.openedAt < AFTER_OPENING_MS) return;
    const node = hit(event, ".graph-node, .graph-handle");
    if (node) this.activate(node, event.timeStamp);
  }

  /** A double click on the ground of an open block closes it. */
  doubleClick(event) {
    if (event.timeStamp - this.openedAt < AFTER_OPENING_MS * 2) return;
    const frame = hit(event, ".graph-frame");
    if (frame) this.toggle(frame.dataset.block);
  }

  activate(node, time = performance.now()) {
    this.focus(node, false);
    if (node.dataset.layer !== undefined) {
      view.set({ layer: node.dataset.layer }, { history: "push" });
      return;
    }
    this.openedAt = time;
    this.toggle(node.dataset.block);
  }

  toggle(id, /** @type {"push" | "replace"} */ history = "push") {
    const open = this.fold();
    this.anchor = id;
    this.tip.hide();
    this.camera.moved = true;
    this.camera.stopGliding();
    this.setFold(open.includes(id) ? open.filter((other) => other !== id) : [...open, id], history);
  }

  /** Select a layer wherever it is: the blocks it is in are opened, and those that were opened for another one are closed. */
  choose(layer) {
    view.set({ layer }, { history: "push" });
    this.shutRevealed(layer);
    this.reveal(layer);
  }

  shutRevealed(layer) {
    const { picture } = this;
    const place = picture && (picture.layer(layer) || picture.holding(layer));
    const around = place ? picture.blocksAround(place) : [];
    const shut = [...this.revealed].filter((id) => !around.includes(id));
    for (const id of shut) this.revealed.delete(id);
    this.setFold(
      this.fold().filter((id) => !shut.includes(id)),
      "replace",
    );
  }

  reveal(layer) {
    this.revealing = null;
    if (!this.picture) return;
    const block = this.picture.holding(layer);
    if (block) {
      this.revealing = layer;
      this.revealed.add(String(block.dataset.block));
      this.toggle(String(block.dataset.block), "replace");
      return;
    }
    const node = this.picture.layer(layer);
    if (node) this.bring(node);
  }

  /** Mark the selected layer; no request is made for it. */
  mark(bring) {
    const { layer } = view.get();
    this.select.value = layer;
    const { picture } = this;
    if (!picture) return;
    picture.mark(layer);
    const node = picture.marked();
    this.rove(this.stage.contains(document.activeElement) ? document.activeElement : node || picture.nodes[0]);
    if (bring && node && !this.hand.isDown) this.bring(node);
  }

  fillSelect(subject) {
    this.select.replaceChildren(...subject.layers.map((layer) => element("option", { value: layer.name }, [layer.name])));
    this.select.value = view.get().layer;
  }

  // ---------------------------------------------------------------------------------------------- keyboard

  /** One node at a time is in the page's tab order. */
  rove(node) {
    const { nodes } = /** @type {Picture} */ (this.picture);
    if (this.roving) this.roving.setAttribute("tabindex", "-1");
    this.roving = nodes.includes(node) ? node : nodes[0];
    if (this.roving) this.roving.setAttribute("tabindex", "0");
  }

  focus(node, bring = true) {
    if (!node) return;
    this.rove(node);
    node.focus({ preventScroll: true });
    if (bring) this.bring(node);
  }

  focused(event) {
    if (!this.picture || !this.picture.nodes.includes(event.target)) return;
    this.rove(event.target);
    if (!event.target.matches(":focus-visible")) return;
    this.bring(event.target);
    this.tell(event.target);
  }

  key(event) {
    const node = hit(event, ".graph-node, .graph-handle");
    if (node && this.picture && graphKeys({ graph: this, node }, event)) event.stopPropagation();
  }

  /** Close the innermost open block around a node. */
  closeAround(node) {
    const [id] = this.picture ? this.picture.blocksAround(node) : [];
    if (id) this.toggle(id);
  }

  /** Say what is under the pointer, or focused. */
  tell(target, /** @type {PointerEvent | null} */ event = null) {
    const node = target.closest(".graph-node, .graph-handle");
    const words = node && this.picture && this.picture.words.get(node);
    if (words) this.tip.tell(node, words, event);
    else this.tip.hide();
  }
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

/** The React component behind components/browser_parts.py. */
export const NetworkGraph = component("graph", Graph);
