/** One cluster's row: its number, classes, size, mean probabilities, nearest images, and where its images come from and go to. */
import { cleared } from "mloscope/base/canvas.mjs";
import { element, token, write } from "mloscope/base/dom.mjs";
import { grouped, percent } from "mloscope/base/numbers.mjs";
import { marks } from "mloscope/clusters/marks.mjs";

export const PICTURE_PX = 32;
export const PICTURE_GAP_PX = 3;
const BARS_PX = { width: 120, height: 36 };
const FLOWS_PX = { width: 72, height: 14 };
const STATES = {
  born: ["new", "It had no images, or different ones, at the previous step"],
  died: ["gone", "It had images at the previous step and has none now"],
  empty: ["empty", "It has no images at this step"],
};

/** One cluster. */
export class Row {
  /** @type {any} */ row;
  /** @type {any} */ rows;
  /** @type {any} */ across;

  constructor(cluster) {
    this.cluster = cluster;
    this.number = element("span", { class: "cluster-number" }, [marks.mark(cluster, 12), String(cluster)]);
    this.name = element("strong", { class: "cluster-name" });
    this.purity = element("span", { class: "cluster-purity" });
    this.others = element("span", { class: "cluster-others" });
    this.size = element("span", { class: "cluster-size" });
    this.meter = element("span", { class: "cluster-meter" });
    this.meter.style.background = marks.colour("cluster", cluster);
    this.bars = canvas("cluster-bars", BARS_PX);
    this.pictures = element("canvas", { class: "cluster-pictures", height: 1, width: 1 });
    this.from = canvas("cluster-flow", FLOWS_PX);
    this.to = canvas("cluster-flow", FLOWS_PX);
    this.node = element("div", { class: "cluster-row cluster-grid", role: "option", "data-cluster": cluster }, [
      this.number,
      element("span", { class: "cluster-classes" }, [element("span", { class: "cluster-first" }, [this.name, this.purity]), this.others]),
      element("span", { class: "cluster-count" }, [this.size, element("span", { class: "cluster-track" }, [this.meter])]),
      this.bars,
      this.pictures,
      this.from,
      this.to,
    ]);
  }

  /** @param {any | null} row of the step; null where it is not here */
  show(row, { data, rows, largest, across, selected }) {
    this.row = row;
    this.rows = rows;
    this.across = across;
    const state = row ? row.state : "pending";
    if (this.node.dataset.state !== state) this.node.dataset.state = state;
    const [word] = STATES[state] || [""];
    const majority = row ? row.majority : [];
    const share = (count) => percent(count / (row ? row.size : 1), 0);
    const name = (number) => data.classNames[number] || `class ${number}`;
    const unlabelled = row && row.size && !majority.length;
    write(this.name, !row ? "" : majority.length ? name(majority[0][0]) : unlabelled ? "no known class" : word);
    write(this.purity, row && row.purity !== null ? percent(row.purity, 0) : "");
    const more = majority.slice(1).map(([number, count]) => `${name(number)} (${share(count)})`);
    write(this.others, [majority.length ? word : "", ...more].filter(Boolean).join(", "));
    write(this.size, row ? grouped(row.size) : "");
    this.meter.style.transform = `scaleX(${row ? row.size / largest : 0})`;
    this.node.setAttribute(
      "aria-label",
      row ? `Cluster ${this.cluster}, ${row.size} images, ${this.name.textContent} ${this.purity.textContent}` : `Cluster ${this.cluster}`,
    );
    this.drawBars(row);
    this.drawPictures(data, selected);
    this.drawFlow(this.from, row ? row.from : []);
    this.drawFlow(this.to, row ? row.to : []);
  }

  drawBars(row) {
    const context = cleared(this.bars, BARS_PX.width, BARS_PX.height);
    if (!row || !row.mean.length) return;
    const each = Math.min(14, BARS_PX.width / row.mean.length);
    const gap = each > 4 ? 1 : 0;
    context.fillStyle = style("--surface-sunken");
    context.fillRect(0, 0, each * row.mean.length - gap, BARS_PX.height);
    row.mean.forEach(([number, probability], place) => {
      const height = Math.max(probability * BARS_PX.height, probability > 0.002 ? 1 : 0);
      context.fillStyle = marks.colour("class", number);
      context.fillRect(place * each, BARS_PX.height - height, each - gap, height);
    });
  }

  drawPictures(data, selected) {
    const { row, rows, across, pictures } = this;
    const step = PICTURE_PX + PICTURE_GAP_PX;
    const context = cleared(pictures, Math.max(1, across * step), PICTURE_PX + 4);
    if (!row) return;
    context.imageSmoothingEnabled = false;
    row.nearest.slice(0, across).forEach((position, place) => {
      const x = place * step + 2;
      const found = data.picture(rows, position);
      if (found) context.drawImage(found.bitmap, found.x, found.y, found.edge, found.edge, x, 2, PICTURE_PX, PICTURE_PX);
      else {
        context.fillStyle = style("--surface-sunken");
        context.fillRect(x, 2, PICTURE_PX, PICTURE_PX);
      }
      if (position === selected) {
        context.strokeStyle = style("--accent");
        context.lineWidth = 2;
        context.strokeRect(x - 1, 1, PICTURE_PX + 2, PICTURE_PX + 2);
      }
    });
  }

  drawFlow(node, flow) {
    const context = cleared(node, FLOWS_PX.width, FLOWS_PX.height);
    const total = flow.reduce((sum, [, count]) => sum + count, 0);
    let x = 0;
    // What stays comes first, and dark: how long that piece is, is what one looks for.
    for (const [other, count] of stayedFirst(flow, this.cluster)) {
      const width = (count / total) * FLOWS_PX.width;
      context.fillStyle = style(other === this.cluster ? "--text-quiet" : "--missing-b");
      context.fillRect(x, 0, Math.max(width - (width > 3 ? 1 : 0), 0.5), FLOWS_PX.height);
      x += width;
    }
  }

  /** @returns {number | null} position of the picture at this place, null where there is none */
  pictureAt(x) {
    const place = Math.floor((x - 2) / (PICTURE_PX + PICTURE_GAP_PX));
    const shown = this.row ? this.row.nearest.slice(0, this.across) : [];
    return place >= 0 && place < shown.length ? shown[place] : null;
  }

  /** What to say of the place under the pointer; null where it says enough by itself. */
  said(target, x, data) {
    const { row, rows } = this;
    if (!row) return "";
    if (target === this.bars) {
      const each = Math.min(14, BARS_PX.width / Math.max(1, row.mean.length));
      const found = row.mean[Math.floor(x / each)];
      return found ? `${data.classNames[found[0]] || `class ${found[0]}`}: ${found[1]}` : "";
    }
    if (target === this.pictures) {
      const position = this.pictureAt(x);
      if (position === null || !data.images) return "";
      const label = data.images.labels[position];
      return [data.images.ids[position], label >= 0 ? data.classNames[label] : ""].filter(Boolean).join(", ");
    }
    if (target === this.from) return flowText(row.from, this.cluster, rows.before, "from", "since");
    if (target === this.to) return flowText(row.to, this.cluster, rows.after, "to", "until");
    const [, why] = STATES[row.state] || [];
    return target === this.others && why ? `${why}.` : null;
  }
}

const stayedFirst = (flow, cluster) => [...flow].sort(([a], [b]) => Number(b === cluster) - Number(a === cluster));

function flowText(flow, cluster, step, word, since) {
  if (step === null) return word === "from" ? "This is the first step that has clusters." : "This is the last step that has clusters.";
  const parts = stayedFirst(flow, cluster)
    .slice(0, 12)
    .map(([other, count]) => {
      const many = grouped(count);
      if (other === cluster) return word === "from" ? `${many} ${count === 1 ? "was" : "were"} already here` : `${many} stay`;
      return other < 0 ? `${many} ${word} no cluster` : `${many} ${word} cluster ${other}`;
    });
  return parts.length ? `${parts.join("\n")}\n(${since} step ${grouped(step)})` : "No images.";
}

function canvas(name, { width, height }) {
  const node = element("canvas", { class: name });
  Object.assign(node.style, { width: `${width}px`, height: `${height}px` });
  return node;
}

/** @type {any} */
let styles = { theme: null };

/** A custom property's value; looked up once for each theme, not once for each row and frame. */
function style(name) {
  const { theme } = document.documentElement.dataset;
  if (styles.theme !== theme) styles = { theme };
  if (!(name in styles)) styles[name] = token(name);
  return styles[name];
}
