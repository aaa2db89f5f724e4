/** What the network makes of the lab's image, changed and unchanged: the components LabLayer, LabFilms and LabBars. */
import { fill, select } from "mloscope/base/controls.mjs";
import { component, element } from "mloscope/base/dom.mjs";
import { onOpen } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { FilmView } from "mloscope/films/canvas.mjs";
import { MAIN } from "mloscope/films/main_side.mjs";
import { Bars } from "mloscope/images/prediction_bars.mjs";
import { IMAGE_KEYS, asked, unchanged } from "mloscope/lab/image.mjs";

/** A film of the main display, of another image than the selected one. */
const sideOf = (name, image, isShown) => ({
  ...MAIN,
  view: () => ({ ...view.get(), image: image() }),
  isShown,
  lead: () => [name],
});

class Films {
  constructor(root) {
    this.root = root;
    this.films = [];
    this.stop = view.subscribe((_, keys) => keys.includes("lab-show") && this.show());
    this.show();
  }

  destroy() {
    this.stop();
    this.leave();
  }

  leave() {
    for (const film of this.films) film.destroy();
    this.root.replaceChildren();
  }

  /** Two films of the kind that is chosen. */
  show() {
    this.leave();
    const kind = view.get()["lab-show"];
    const sides = [sideOf("changed", asked, () => true), sideOf("unchanged", unchanged, () => asked() !== unchanged())];
    this.films = sides.map((side) => {
      const place = element("div", { class: "film lab-film" });
      this.root.append(place);
      return new FilmView(place, kind, side);
    });
  }
}

/** The layer that is shown; on this page there is no graph to select it in. */
class LayerChoice {
  constructor(root) {
    this.node = select({ class: "tool-select", "data-view": "layer", "aria-label": "Layer" }, [], (layer) => view.set({ layer }));
    root.append(this.node);
    this.undo = [onOpen((subject) => this.offer(subject)), view.subscribe((_, keys) => keys.includes("layer") && this.show())];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.node.remove();
  }

  offer({ layers }) {
    fill(
      this.node,
      layers.filter(({ problem }) => !problem).map(({ name }) => name),
    );
    this.show();
  }

  show() {
    this.node.value = view.get().layer;
  }
}

class ChangedBars extends Bars {
  keys = IMAGE_KEYS;

  image() {
    return { asked: asked(), record: view.get().own ? null : view.get().image };
  }
}

/** The React components behind components/browser_parts.py. */
export const LabLayer = component("tool", LayerChoice);
export const LabFilms = component("lab-films", Films);
export const LabBars = component("predictions", ChangedBars);
