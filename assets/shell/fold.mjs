/** A heading that folds its panel: the component Fold. */
import { component, element, write } from "mloscope/base/dom.mjs";
import { panels } from "mloscope/shell/panels.mjs";

class FoldHeading {
  constructor(root, { panel, title, level }) {
    const face = element("span", { class: "fold-face", "aria-hidden": "true" });
    const fold = element("button", { type: "button", class: "fold-button" }, [face, title]);
    const show = () => {
      const isOpen = !panels.of(panel).folded;
      fold.setAttribute("aria-expanded", String(isOpen));
      write(face, isOpen ? "▾" : "▸");
    };
    fold.addEventListener("click", () => panels.set(panel, { folded: !panels.of(panel).folded }));
    root.append(element(level === 2 ? "h2" : "h3", { class: level === 2 ? "panel-title" : "panel-subtitle" }, [fold]));
    this.root = root;
    this.stop = panels.onChange(show);
    show();
  }

  destroy() {
    this.stop();
    this.root.replaceChildren();
  }
}

/** The React component behind components/browser_parts.py. */
export const Fold = component("fold", FoldHeading);
