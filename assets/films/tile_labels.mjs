/**
 * Numbers and names of units around a film's tiles, as HTML over and beside the canvas. `TileLabels`.
 *
 * Written when the tiles are laid out, never while time moves; only where bars are sorted do their labels move along.
 */
import { element } from "mloscope/base/dom.mjs";
import { HEAD_PX } from "mloscope/films/arrangement.mjs";
import { filmDraw } from "mloscope/films/draw.mjs";

const ROW_LABEL_PX = 14;
const COLUMN_LABEL_PX = 26;

/** Labels along one side, as many as are legible. */
function along(texts, step, length, scale, leastPx, side) {
  const every = Math.max(1, Math.ceil(leastPx / (step * scale)));
  return texts.flatMap((text, place) => {
    if (place % every) return [];
    return [element("span", { style: `${side}:${(place * step + length / 2) * scale}px`, title: text }, [text])];
  });
}

export class TileLabels {
  constructor() {
    this.columns = element("div", { class: "film-columns", "aria-hidden": "true" });
    this.rows = element("div", { class: "film-rows", "aria-hidden": "true" });
    this.corner = element("div", { class: "film-corner", "aria-hidden": "true" });
    this.over = element("div", { class: "film-heads", "aria-hidden": "true" });
  }

  /**
   * @param {any} header of the film @param {any} layout of assets/films/arrangement.mjs
   * @param {string[]} names of the units
   */
  show(header, layout, names) {
    const { labels, scale, gap, head } = layout;
    const isGrid = labels === "grid";
    const first = layout.matrix || isGrid ? names : names.filter((_, unit) => unit % layout.across === 0);
    const rows = isGrid || labels === "rows" ? along(first, layout.stepY, layout.stepY - gap - head, scale, ROW_LABEL_PX, "top") : [];
    this.rows.replaceChildren(...rows);
    const channels = header.channels.map(String);
    this.columns.replaceChildren(...(isGrid ? along(channels, layout.stepX, layout.stepX - gap, scale, COLUMN_LABEL_PX, "left") : []));
    this.corner.textContent = isGrid ? "unit" : "";
    this.corner.title = "Rows are units (filters), columns the channels that come in";
    this.over.replaceChildren(
      ...(labels === "heads" || labels === "bars" ? names.map((name) => element("span", { title: name }, [name])) : []),
    );
    this.move(layout);
  }

  /** Put the labels of tiles and bars where their units stand now. */
  move(layout) {
    const { labels, scale } = layout;
    [.../** @type {NodeListOf<HTMLElement>} */ (this.over.childNodes)].forEach((label, unit) => {
      const { x, y, width, height } = filmDraw.place(layout, unit);
      const isBar = labels === "bars";
      label.style.transform = `translate(${x * scale}px, ${y * scale - (isBar ? 0 : HEAD_PX)}px)`;
      label.style.width = `${isBar ? layout.labelX - 6 : width * scale}px`;
      label.style.lineHeight = `${isBar ? height : HEAD_PX}px`;
    });
  }
}
