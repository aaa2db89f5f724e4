/**
 * The images that excite the selected unit most at the time bus's step, cut to what it sees of them: the component UnitPatches.
 *
 *     topPatches.at(step) + pictures, loaded once per image ──► a canvas each, in every animation frame, without a request
 *
 * data-state on the root: ready, pending (a picture is still to come), missing (a sentence says why).
 */
import { api } from "mloscope/base/addresses.mjs";
import { cleared } from "mloscope/base/canvas.mjs";
import { button, component, element, oncePerFrame, write } from "mloscope/base/dom.mjs";
import { counted, duration, grouped, percent, rounded } from "mloscope/base/numbers.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { topPatches } from "mloscope/unit/top_patches.mjs";

/** @typedef {import("mloscope/unit/top_patches.mjs").Patch} Patch */

const EDGE_PX = 84;
const PICTURE_EDGE = 256; // pixels of a picture at most
const MOST_PICTURES = 800;

/** Pictures by address, each loaded once and kept while it is among the last that were wanted. */
class Pictures {
  /** @type {Map<string, HTMLImageElement>} */ #known = new Map();

  /** @param {() => void} onLoad */
  constructor(onLoad) {
    this.onLoad = onLoad;
  }

  /** @param {string} corpus @param {string} image @returns {HTMLImageElement} perhaps not loaded yet */
  of(corpus, image) {
    const address = api(["corpora", corpus, "images", `${image}.png`], { edge: PICTURE_EDGE });
    let picture = this.#known.get(address);
    if (!picture) {
      picture = new Image();
      picture.addEventListener("load", this.onLoad);
      picture.src = address;
      if (this.#known.size >= MOST_PICTURES) this.#known.delete(/** @type {string} */ (this.#known.keys().next().value));
      this.#known.set(address, picture);
    }
    return picture;
  }
}

/** One patch: its picture, its value, and the image that it is cut from. */
class Tile {
  /** @type {Patch | null} */ patch = null;

  constructor() {
    this.canvas = element("canvas", { class: "unit-patch-canvas", "aria-hidden": "true" });
    this.value = element("span", { class: "unit-patch-value" });
    this.face = button("unit-patch", this.canvas, "", () => this.patch && view.set({ image: this.patch.image }));
    this.face.append(this.value);
    this.node = element("li", {}, [this.face]);
  }

  /**
   * @param {Patch} patch
   * @param {HTMLImageElement} picture
   * @param {{input: number[] | null, field: number[] | null}} about the layer's input and largest field: rows and columns
   * @returns {boolean} whether the picture is there
   */
  draw(patch, picture, about) {
    this.patch = patch;
    const words = `${patch.image}: ${rounded(patch.value)} at row ${patch.row}, column ${patch.column}; among the best since step ${grouped(patch.since)}`;
    if (this.face.title !== words) {
      this.face.title = words;
      this.face.setAttribute("aria-label", words);
    }
    this.face.setAttribute("aria-pressed", String(view.get().image === patch.image));
    write(this.value, rounded(patch.value));
    const context = cleared(this.canvas, EDGE_PX, EDGE_PX);
    if (!picture.complete || !picture.naturalWidth) return false;
    const [rows, columns] = about.input || [picture.naturalHeight, picture.naturalWidth];
    const [top, left, bottom, right] = patch.box || [0, 0, rows, columns];
    const [down, across] = patch.box && about.field ? about.field : [bottom - top, right - left];
    const scale = EDGE_PX / Math.max(down, across);
    // A field at the upper or left edge lacks what lies in the padding there: it stands at the other end of its place.
    const x = (EDGE_PX - across * scale) / 2 + (left === 0 ? across - (right - left) : 0) * scale;
    const y = (EDGE_PX - down * scale) / 2 + (top === 0 ? down - (bottom - top) : 0) * scale;
    const [wide, high] = [picture.naturalWidth / columns, picture.naturalHeight / rows];
    context.imageSmoothingEnabled = scale < 1;
    context.drawImage(
      picture, left * wide, top * high, (right - left) * wide, (bottom - top) * high,
      x, y, (right - left) * scale, (bottom - top) * scale,
    ); // prettier-ignore
    return true;
  }
}

class Patches {
  /** @type {Tile[]} */ tiles = [];
  problem = "";
  ready = "";

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.later = oncePerFrame(() => this.draw());
    this.pictures = new Pictures(this.later);
    this.facts = element("p", { class: "unit-facts" });
    this.message = element("p", { class: "unit-message", role: "status" });
    this.code = element("code", { class: "statistics-code", tabindex: 0 });
    this.order = button("statistics-button", "Find them", "Find top patches of all layers in the background", () => this.compute());
    this.list = element("ol", { class: "unit-patch-list", "aria-label": "Images that excite the unit most" });
    root.append(
      element("h2", { class: "panel-subtitle" }, ["what excites it most"]),
      this.facts, this.message, this.order, this.code, this.list,
    ); // prettier-ignore
    this.undo = [topPatches.follow(() => this.take()), time.subscribe(() => this.draw()), view.subscribe(() => this.later())];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.later.cancel();
    this.root.replaceChildren();
  }

  /** What came: pictures of all steps are loaded at once, those of this step first. */
  take() {
    const { found, statistics } = topPatches;
    const now = topPatches.at(time.step);
    if (found) {
      for (const { patches } of [...(now ? [now] : []), ...found.steps])
        for (const { image } of patches) this.pictures.of(this.corpus, image);
    }
    const ready = JSON.stringify([topPatches.layer, statistics && statistics.split]);
    if (ready !== this.ready) {
      this.ready = ready;
      window.dash_clientside?.set_props?.("patches-ready", { data: ready });
    }
    this.draw();
  }

  get corpus() {
    const { statistics } = topPatches;
    return (statistics.overview && statistics.overview.corpus) || statistics.corpus;
  }

  draw() {
    const now = topPatches.at(time.step);
    const shown = now && now.state === "alive" ? now.patches : [];
    const reason = shown.length ? "" : this.reason(now);
    while (this.tiles.length < shown.length) this.tiles.push(new Tile());
    if (this.list.children.length !== shown.length) this.list.replaceChildren(...this.tiles.slice(0, shown.length).map(({ node }) => node));
    const areDrawn = shown.map((patch, place) =>
      this.tiles[place].draw(patch, this.pictures.of(this.corpus, patch.image), topPatches.found),
    );
    const state = !shown.length ? (topPatches.overview ? "missing" : "pending") : areDrawn.every(Boolean) ? "ready" : "pending";
    if (this.root.dataset.state !== state) this.root.dataset.state = state;
    write(this.facts, now ? factsOf(now) : "");
    write(this.message, [reason, this.problem].filter(Boolean).join(" "));
    this.message.hidden = !this.message.textContent;
    this.offer();
  }

  /** Why there is nothing to see. */
  reason(now) {
    const { overview, found, error, layer } = topPatches;
    const step = time.step === null ? "" : ` at step ${grouped(time.step)}`;
    if (error) return error;
    if (now && now.state === "dead") return `Dead${step}: none of the images drives it above 0.`;
    if (now) return `Not a number${step}: the unit has no finite value for any image.`;
    if (!overview) return "Looking for top patches …";
    if (!layer) return this.lacking(overview);
    if (!found) return `This layer has ${counted(layer.units, "unit")}, 0 to ${layer.units - 1}.`;
    return `There are none${step}: the checkpoint has not been searched.`;
  }

  lacking(overview) {
    const others = overview.layers.map(({ layer }) => layer).join(", ");
    const has = others ? ` Layers that have them: ${others}.` : "";
    const lasts = `It takes about ${duration(overview.expected_seconds)}, for every checkpoint is run over every image.`;
    if (topPatches.isAtWork) return "The images that excite this layer's units most are not known yet; a computation is running.";
    const how = topPatches.job ? "Find them here or from a terminal:" : "This finds them:";
    return `The images that excite this layer's units most have not been looked for.${has} ${lasts} ${how}`;
  }

  /** The button and the command, where the layer has no patches and nothing is being computed. */
  offer() {
    const { overview, layer, error, isAtWork, job } = topPatches;
    const isLacking = Boolean(overview && !layer && !error && !isAtWork);
    this.order.hidden = !isLacking || !job;
    this.code.hidden = !isLacking;
    write(this.code, isLacking ? overview.command : "");
  }

  async compute() {
    this.order.disabled = true;
    this.problem = "";
    try {
      await topPatches.compute();
    } catch (error) {
      this.problem = error.message;
    }
    this.order.disabled = false;
    this.draw();
  }
}

/** @param {import("mloscope/unit/top_patches.mjs").AtStep} now */
function factsOf({ mean, excited, overlap, patches }) {
  const same = overlap === null ? null : `${Math.round(overlap * patches.length)} of ${patches.length} images as at the last step`;
  return [
    mean === null ? null : `mean activation ${rounded(mean)}`,
    excited === null ? null : `excited by ${percent(excited)} of the images`,
    same,
  ]
    .filter((part) => part !== null)
    .join(" · ");
}

/** The React component behind components/browser_parts.py. */
export const UnitPatches = component("unit-patches", Patches);
