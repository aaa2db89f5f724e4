/** What the colours of the map of images say, and what its axes are. */
import { element } from "mloscope/base/dom.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { marks } from "mloscope/clusters/marks.mjs";

const LEGEND_NAMES = 20;

export class MapLegend {
  told = "";
  node = element("div", { class: "points-legend" });

  /**
   * @param {"class" | "prediction" | "cluster"} kind what a colour stands for
   * @param {string[]} names of the classes; [] where colours stand for clusters
   * @param {any} shown the points of the step, null where they have not come
   */
  show(kind, names, shown) {
    const key = JSON.stringify([kind, names, shown && shown.note]);
    if (key === this.told) return;
    this.told = key;
    const { length } = marks.colours(kind);
    const isLong = names.length > LEGEND_NAMES;
    const items = isLong
      ? []
      : names.map((name, number) => element("span", { class: "points-name" }, [colourDot(marks.colour(kind, number)), name]));
    const said = [];
    if (isLong) said.push(`${grouped(names.length)} classes share ${length} colours; point at an image for its class.`);
    else if (names.length > length) said.push(`Colours repeat after ${length}.`);
    if (kind === "cluster") said.push("Colours as in the rows.");
    if (shown) said.push("The line is the way of the selected image through all steps.");
    if (shown) said.push(shown.note); // how the map was made and what it can mean, from the server
    this.node.replaceChildren(...items, element("span", { class: "points-said" }, [said.join(" ")]));
  }
}

function colourDot(colour) {
  const dot = element("span", { class: "points-dot" });
  dot.style.background = colour;
  return dot;
}
