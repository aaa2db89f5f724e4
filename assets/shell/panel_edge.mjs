/**
 * The edge of a panel: the component PanelEdge. It is dragged, or moved by keys, and has a button that folds the panel where that means
 * something.
 */
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { panels } from "mloscope/shell/panels.mjs";

const STEP_PX = 16;

const edgeKeys = keyTable("Edge of a panel, reached by Tab", [
  { keys: ["ArrowLeft", "ArrowUp"], does: "move it to the left or up", act: (edge) => edge.moveBy(-STEP_PX) },
  { keys: ["ArrowRight", "ArrowDown"], does: "move it to the right or down", act: (edge) => edge.moveBy(STEP_PX) },
  { keys: ["Enter"], does: "fold or unfold the panel", act: (edge) => edge.toggle() },
  { keys: ["Home"], does: "back to the usual size", act: (edge) => edge.reset() },
]);

class Edge {
  /** @type {HTMLElement} */ bar;
  /** @type {HTMLButtonElement} */ fold;
  /** @type {number | null} where the hand took hold, less the size then */ hold = null;

  constructor(root, { panel, label, axis, side, sized, least, most, folds }) {
    this.root = root;
    this.panel = panel;
    this.axis = axis;
    this.sign = side === "after" ? -1 : 1;
    this.sized = sized;
    this.least = least;
    this.most = most;
    this.folds = folds;
    this.build(label);
    this.stop = panels.onChange(() => this.show());
    this.show();
  }

  build(label) {
    const { root, axis, least, most, folds } = this;
    this.bar = element("div", {
      class: "panel-bar", role: "separator", tabindex: 0, "data-own-keys": true, "aria-label": `Size: ${label}`,
      "aria-orientation": axis === "x" ? "vertical" : "horizontal", "aria-valuemin": least, "aria-valuemax": most,
      title: "Drag, or move with the arrow keys; a double click brings the usual size back",
    }); // prettier-ignore
    this.fold = button("panel-fold", "", `Fold: ${label}`, () => this.toggle());
    this.fold.setAttribute("aria-label", label);
    root.classList.add("panel-edge", `panel-edge-${axis}`);
    root.append(this.bar, ...(folds ? [this.fold] : []));
    this.bar.addEventListener("pointerdown", (event) => this.take(event));
    this.bar.addEventListener("pointermove", (event) => this.hold !== null && this.resize(this.at(event) * this.sign - Number(this.hold)));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) this.bar.addEventListener(end, () => (this.hold = null));
    this.bar.addEventListener("dblclick", () => this.reset());
    this.bar.addEventListener("keydown", (event) => edgeKeys(this, event));
  }

  destroy() {
    this.stop();
    this.root.replaceChildren();
  }

  at(event) {
    return this.axis === "x" ? event.clientX : event.clientY;
  }

  /** The panel's size as it is drawn. */
  size() {
    const box = document.querySelector(this.sized)?.getBoundingClientRect();
    return box ? (this.axis === "x" ? box.width : box.height) : this.least;
  }

  take(event) {
    if (event.button) return;
    event.preventDefault();
    this.bar.setPointerCapture(event.pointerId);
    this.hold = this.at(event) * this.sign - this.size();
  }

  /** @param {number} wanted in pixels; kept within what the window has room for */
  resize(wanted) {
    const room = (this.axis === "x" ? innerWidth : innerHeight) * 0.6;
    panels.set(this.panel, { size: Math.round(Math.max(this.least, Math.min(wanted, this.most, room))), folded: false });
  }

  moveBy(px) {
    this.resize(this.size() + px * this.sign);
  }

  reset() {
    panels.set(this.panel, { size: undefined, folded: false });
  }

  toggle() {
    if (!this.folds) return false;
    panels.set(this.panel, { folded: !panels.of(this.panel).folded });
  }

  show() {
    const { size, folded } = panels.of(this.panel);
    this.bar.setAttribute("aria-valuenow", String(folded ? this.least : Math.round(size ?? this.size())));
    this.fold.setAttribute("aria-expanded", String(!folded));
    const [open, shut] = this.axis === "y" ? ["▴", "▾"] : this.sign > 0 ? ["◂", "▸"] : ["▸", "◂"];
    write(this.fold, folded ? shut : open);
  }
}

/** The React component behind components/browser_parts.py. */
export const PanelEdge = component("panel-edge", Edge);
