/**
 * A row for each cluster, at the step of the time bus: the component ClusterRows.
 *
 * A row keeps its number, its colour and, while time moves, its place; where another order than by place is chosen, rows are put
 * into it when time has settled. data-step and data-state on the root say whose rows these are: ready, pending or missing.
 */
import { fill, labelled, select } from "mloscope/base/controls.mjs";
import { component, element, hit, write } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { counted } from "mloscope/base/numbers.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { clusters } from "mloscope/clusters/points.mjs";
import { PICTURE_PX, PICTURE_GAP_PX, Row } from "mloscope/clusters/row.mjs";
import { choose, openInNetwork } from "mloscope/images/choosing.mjs";
import { whatIs } from "mloscope/shell/glossary.mjs";

const COLUMNS = [
  ["", "The cluster's number, colour and shape; they stay the same over time"],
  ["true classes", "The most frequent true classes of its images, and the share of the first (purity)", "purity"],
  ["images", "How many images it has"],
  ["mean prob.", "The mean class probabilities of its images, a bar per class"],
  ["nearest its centre", "The images whose class probabilities are nearest to that mean"],
  ["from", "The clusters its images were in at the previous step; its own colour: they were already here"],
  ["to", "The clusters its images will be in at the next step; its own colour: they stay"],
];

const rowKeys = keyTable("Rows of clusters", [
  {
    keys: ["ArrowUp", "ArrowDown"],
    does: "the cluster above or below",
    act: (rows, { key }) => rows.move(rows.place + (key === "ArrowUp" ? -1 : 1)),
  },
  {
    keys: ["Home", "End"],
    does: "first or last cluster",
    act: (rows, { key }) => rows.move(key === "Home" ? 0 : rows.list.children.length - 1),
  },
  {
    keys: ["Enter", " "],
    does: "select the cluster, or none",
    act: ({ focus, chosen }) => view.set({ cluster: focus === chosen ? null : focus, "cluster-offset": null }),
  },
]);

class Rows {
  /** @type {any} */ order;
  /** @type {any} */ split;
  /** @type {HTMLLabelElement} */ splitTool;
  /** @type {HTMLSpanElement} */ about;
  /** @type {HTMLDivElement} */ head;
  /** @type {HTMLDivElement} */ list;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {any} */ data;
  /** @type {any} */ chosen;
  /** @type {any} */ image;
  /** @type {any} */ ordering;
  /** @type {any} */ largest;
  /** @type {any} */ ready;
  /** @type {any} */ focus;
  /** @type {any} */ across;
  /** @type {any} */ shown;
  /** @type {any} */ placed;

  constructor(root) {
    this.root = root;
    this.rows = [];
    this.build();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.list);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.undo = [
      clusters.follow((data) => this.take(data)),
      time.subscribe(() => this.draw()),
      time.onSettled(() => this.arrange()),
      view.subscribe((_, changed) => changed.some((key) => WATCHED.has(key)) && this.take(this.data)),
      time.addGate(
        (index) => this.gate(index),
        () => "waiting for the clusters",
      ),
      () => this.sizes.disconnect(),
      () => this.themes.disconnect(),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.order = choice("Order of the clusters", view.choices("cluster-order"), (value) => view.set({ "cluster-order": value }));
    this.split = choice("Of which images", [], (value) => view.set({ split: value, cluster: null, lasso: null }));
    this.splitTool = labelled("images", this.split);
    this.about = element("span", { class: "cluster-about", role: "status" });
    this.head = element(
      "div",
      { class: "cluster-head cluster-grid" },
      COLUMNS.map(([text, title, word]) => element("span", { title }, word ? [text, whatIs(word)] : [text])),
    );
    this.list = element("div", { class: "cluster-list", role: "listbox", "aria-label": "Clusters", "data-own-keys": true });
    this.message = element("p", { class: "cluster-message", hidden: true });
    this.root.append(
      element("div", { class: "cluster-tools" }, [labelled("order by", this.order), this.splitTool, this.about]),
      this.head,
      this.message,
      this.list,
    );
    this.list.addEventListener("click", (event) => this.click(event));
    this.list.addEventListener("dblclick", (event) => {
      const image = this.imageAt(event);
      if (image) openInNetwork(image);
    });
    this.list.addEventListener("keydown", (event) => rowKeys(this, event));
    this.list.addEventListener("mousemove", (event) => this.hover(event));
  }

  take(data) {
    if (!data) return;
    this.data = data;
    const viewNow = view.get();
    this.chosen = viewNow.cluster;
    this.image = viewNow.image;
    this.order.value = this.ordering = viewNow["cluster-order"];
    const splits = data.overview ? Object.keys(data.overview.splits || {}) : (subject && subject.splits) || [];
    this.splitTool.hidden = splits.length < 2;
    if (this.split.options.length !== splits.length) {
      fill(this.split, splits);
    }
    this.split.value = data.overview ? data.overview.split : viewNow.split;
    if (this.rows.length !== data.k) this.makeRows(data.k);
    this.tellCharts();
    this.largest = Math.max(1, ...data.allRows().flatMap((rows) => (rows ? rows.clusters.map(({ size }) => size) : [])));
    this.draw();
    this.arrange();
  }

  /** Charts that the server draws hear of what clusters there are through the Store "clusters-ready". */
  tellCharts() {
    const ready = this.data.made ? this.data.made.keys.join() : "";
    if (ready === this.ready || !this.data.overview) return;
    this.ready = ready;
    if (window.dash_clientside && window.dash_clientside.set_props) window.dash_clientside.set_props("clusters-ready", { data: ready });
  }

  gate(index) {
    if (!this.data || !this.data.made || this.data.rows(index)) return true;
    return this.data.reason(index, "rowChunks") === null ? false : "missing";
  }

  makeRows(count) {
    this.rows = Array.from({ length: count }, (_, cluster) => new Row(cluster));
    this.list.replaceChildren(...this.rows.map(({ node }) => node));
    this.focus = 0;
    this.resize();
  }

  resize() {
    // The pictures' column is as wide as what the others leave.
    const room = this.rows.length ? this.rows[0].pictures.clientWidth : 0;
    const across = Math.max(0, Math.min(12, Math.floor((room + PICTURE_GAP_PX) / (PICTURE_PX + PICTURE_GAP_PX))));
    if (across === this.across) return;
    this.across = across;
    this.draw();
  }

  // ------------------------------------------------------------------------------------------------------ drawing

  draw() {
    const { data, root } = this;
    if (!data) return;
    const { index, step } = time;
    const rows = data.rows(index);
    const reason = rows ? null : data.reason(index, "rowChunks");
    root.dataset.state = rows ? "ready" : reason === null ? "pending" : "missing";
    root.dataset.step = step;
    this.shown = rows;
    this.list.hidden = !data.made;
    this.head.hidden = !data.made;
    this.message.hidden = Boolean(rows);
    if (!rows) write(this.message, reason === null ? "Loading clusters …" : reason);
    this.tellAbout(rows);
    const selected = data.positionOf(this.image);
    this.rows.forEach((row, cluster) => {
      row.show(rows && rows.clusters[cluster], { data, rows, largest: this.largest, across: this.across || 0, selected });
      row.node.setAttribute("aria-selected", cluster === this.chosen);
      row.node.tabIndex = cluster === this.focus ? 0 : -1;
    });
  }

  tellAbout(rows) {
    if (!rows) {
      write(this.about, "");
      return;
    }
    const alive = rows.clusters.filter(({ size }) => size).length;
    const count = (state) => rows.clusters.filter((row) => row.state === state).length;
    const told = [`${alive} of ${rows.clusters.length} clusters have images`];
    if (count("born")) told.push(`${counted(count("born"), "new cluster")}`);
    if (count("died")) told.push(`${count("died")} disappeared`);
    if (rows.refit && rows.before !== null) told.push("refitted at this step; numbers follow shared images");
    write(this.about, told.join(" · "));
  }

  /** Put the rows into the order chosen. While time moves they stay where they are. */
  arrange() {
    const rows = this.shown;
    if (!rows) return;
    const value = {
      place: (row) => -row.cluster,
      size: (row) => row.size,
      purity: (row) => (row.purity === null ? -1 : row.purity),
      change: changed,
    }[this.ordering];
    const sorted = [...rows.clusters].sort((a, b) => value(b) - value(a) || a.cluster - b.cluster).map(({ cluster }) => cluster);
    if (this.placed && sorted.join() === this.placed.join() && this.list.children.length === sorted.length) return;
    this.placed = sorted;
    const active = document.activeElement;
    sorted.forEach((cluster, place) => {
      const { node } = this.rows[cluster];
      if (this.list.children[place] !== node) this.list.insertBefore(node, this.list.children[place] || null);
    });
    if (active && this.list.contains(active)) active.focus({ preventScroll: true });
  }

  // -------------------------------------------------------------------------------------------------------- hands

  click(event) {
    const node = hit(event, ".cluster-row");
    if (!node) return;
    const row = this.rows[Number(node.dataset.cluster)];
    const image = this.imageAt(event);
    if (image) {
      choose(image);
      return;
    }
    this.focus = row.cluster;
    view.set({ cluster: row.cluster === this.chosen ? null : row.cluster, "cluster-offset": null });
  }

  /** The image of a row that an event hit. @returns {string | null} */
  imageAt(event) {
    const node = hit(event, ".cluster-row");
    const row = node && this.rows[Number(node.dataset.cluster)];
    const position = row && event.target === row.pictures ? row.pictureAt(event.offsetX) : null;
    return position !== null && this.data.images ? this.data.images.ids[position] : null;
  }

  move(to) {
    const row = this.list.children[to];
    if (!row) return;
    this.focus = Number(/** @type {HTMLElement} */ (row).dataset.cluster);
    this.draw();
    /** @type {HTMLElement} */ (row).focus();
  }

  /** Where the row of the keyboard lies. */
  get place() {
    return [...this.list.children].findIndex((node) => Number(node.dataset.cluster) === this.focus);
  }

  /** What lies under the pointer is said in the browser's own tip. */
  hover(event) {
    const node = hit(event, ".cluster-row");
    if (!node || !this.shown) return;
    const row = this.rows[Number(node.dataset.cluster)];
    const title = row.said(event.target, event.offsetX, this.data);
    if (title !== null && event.target.title !== title) event.target.title = title;
  }
}

const WATCHED = new Set(["cluster", "cluster-order", "image"]);

/** Share of a cluster's images that were elsewhere before; 1 for one that has lost them all. */
function changed(row) {
  if (row.state === "died" || row.state === "born") return 1;
  const total = row.from.reduce((sum, [, count]) => sum + count, 0);
  const stayed = row.from.find(([other]) => other === row.cluster);
  return total ? 1 - (stayed ? stayed[1] : 0) / total : 0;
}

const choice = (label, options, use) => select({ "aria-label": label, title: label }, options, use);

/** The React component behind components/browser_parts.py. */
export const ClusterRows = component("clusters", Rows);
