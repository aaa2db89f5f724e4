/**
 * The images of the selected cluster and those within the lasso, and where the cluster's go: the component ClusterImages.
 *
 *     view (cluster, cluster-offset), settled step ──► GET checkpoints/{step}/clusters/{cluster} ──► a page, nearest the centre first
 *     view (lasso)                                 ──► positions that the map has caught ──────────► a page, in the split's order
 *
 * What is said of the cluster follows the time bus; its page is requested when time has settled.
 */
import { component, element, hit } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { counted, grouped } from "mloscope/base/numbers.mjs";
import { isTemporary } from "mloscope/base/retry.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { marks } from "mloscope/clusters/marks.mjs";
import { clusters } from "mloscope/clusters/points.mjs";
import { ImagePages, pageChoice } from "mloscope/images/pages.mjs";

const PAGE = 48;
const FLOWS = 6; // clusters named

class Images {
  /** @type {HTMLParagraphElement} */ hint;
  /** @type {Record<string, HTMLSelectElement>} by key of the view */ orders = {};
  caught = new Section("Selected images", (way) => this.turnCaught(way));
  cluster = new Section("Images of the cluster", (way) => this.turnCluster(way));
  /** @type {HTMLParagraphElement} */ before;
  /** @type {HTMLParagraphElement} */ after;
  /** @type {any} */ data;
  /** @type {any} */ asked;
  /** @type {any} */ abort;

  constructor(root) {
    this.root = root;
    this.page = 0; // of the lasso
    this.build();
    this.undo = [
      clusters.follow((data) => this.take(data)),
      time.subscribe(() => this.showFlows()),
      time.onSettled(() => this.ask()),
      view.subscribe((_, changed) => this.heard(changed)),
      () => this.abort && this.abort.abort(),
      () => this.caught.pages.destroy(),
      () => this.cluster.pages.destroy(),
    ];
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.hint = element("p", { class: "cluster-hint" }, ["Click a cluster to list its images, or draw a line around images on the map."]);
    this.before = element("p", { class: "cluster-told" });
    this.after = element("p", { class: "cluster-told" });
    this.orders = {
      "member-order": pageChoice("member-order", "Order of the images", "cluster-offset"),
      "member-judged": pageChoice("member-judged", "Which images", "cluster-offset"),
    };
    const orders = element("div", { class: "cluster-orders" }, Object.values(this.orders));
    this.cluster.pages.list.node.before(orders, this.before, this.after);
    this.root.append(this.hint, this.caught.node, this.cluster.node);
    this.root.addEventListener("click", (event) => {
      const link = hit(event, ".cluster-link");
      if (link) view.set({ cluster: Number(link.dataset.cluster), "cluster-offset": null });
    });
  }

  heard(changed) {
    if (changed.includes("lasso")) this.page = 0;
    if (["cluster", "cluster-offset", "member-order", "member-judged"].some((key) => changed.includes(key))) this.ask();
    if (changed.includes("lasso") || changed.includes("cluster")) this.take(this.data);
  }

  take(data) {
    if (!data) return;
    const isOther = data !== this.data;
    this.data = data;
    this.showCaught();
    this.showFlows();
    if (isOther || (this.asked !== this.question() && !time.playing)) this.ask();
  }

  // ----------------------------------------------------------------------------------------------------- the lasso

  showCaught() {
    const { lasso } = view.get();
    const { data, caught } = this;
    const found = lasso ? data.lassoed(lasso) : null;
    caught.node.hidden = !lasso;
    this.showHint();
    if (!lasso) return;
    if (!found || !data.images) {
      caught.title.textContent = data.imagesError || "Loading the selected images …";
      caught.show(null, [], 0, 0, data.imagesError);
      return;
    }
    const total = found.positions.length;
    const pages = Math.max(1, Math.ceil(total / PAGE));
    this.page = Math.min(this.page, pages - 1);
    const first = this.page * PAGE;
    caught.title.textContent = `${counted(total, "selected image")} at step ${grouped(found.step)}`;
    const name = (number) => data.classNames[number] || `class ${number}`;
    caught.show(
      data.statistics.overview.corpus,
      found.positions.slice(first, first + PAGE).map((position) => {
        const label = data.images.labels[position];
        return {
          id: data.images.ids[position],
          title: [data.images.ids[position], label >= 0 ? name(label) : ""].filter(Boolean).join(", "),
        };
      }),
      first,
      total,
      "There are no images within the line.",
    );
  }

  turnCaught(way) {
    this.page = Math.max(0, this.page + way);
    this.showCaught();
  }

  // --------------------------------------------------------------------------------------------------- the cluster

  question() {
    const { cluster, "cluster-offset": offset, "member-order": order, "member-judged": judged } = view.get();
    const { data } = this;
    const key = data && data.made ? data.made.keys[data.made.steps.indexOf(time.step)] : null;
    return JSON.stringify([cluster, offset, order, judged, time.step, key, data && data.statistics.run, data && data.statistics.split]);
  }

  async ask() {
    const { data, cluster: part } = this;
    if (!data) return;
    const question = this.question();
    if (question === this.asked) return;
    this.asked = question;
    if (this.abort) this.abort.abort();
    const { cluster, "cluster-offset": offset, "member-order": order, "member-judged": judged } = view.get();
    for (const [key, node] of Object.entries(this.orders)) node.value = view.get()[key];
    part.node.hidden = cluster === null;
    this.showHint();
    if (cluster === null) return;
    const { step } = time;
    part.node.dataset.state = "pending";
    const abort = (this.abort = new AbortController());
    try {
      const address = data.statistics.address(["checkpoints", step, "clusters", cluster], {
        order,
        judged,
        offset: offset || null,
        limit: PAGE,
      });
      const { total, images } = await fetchJson(address, abort.signal);
      part.node.dataset.state = "ready";
      part.node.dataset.step = step;
      part.title.replaceChildren(marks.mark(cluster, 12), ` cluster ${cluster} at step ${grouped(step)}`);
      part.show(
        data.statistics.overview.corpus,
        images.map((image) => ({ id: image.id, title: inWords(image) })),
        offset || 0,
        total,
        judged ? `It has no image that is predicted ${judged} at this step.` : "It has no images at this step.",
      );
    } catch (error) {
      if (error.name === "AbortError") return;
      part.node.dataset.state = "missing";
      part.title.replaceChildren(marks.mark(cluster, 12), ` cluster ${cluster}`);
      part.show(null, [], 0, 0, error.message);
      this.asked = isTemporary(error) ? null : question;
    }
  }

  turnCluster(way) {
    const { "cluster-offset": offset } = view.get();
    view.set({ "cluster-offset": Math.max(0, (offset || 0) + way * PAGE) || null });
  }

  /** Where the cluster's images were and will be; from what is here, at every step. */
  showFlows() {
    const { data, cluster: part } = this;
    const { cluster } = view.get();
    if (!data || cluster === null) return;
    const { index, step } = time;
    if (part.node.dataset.step && Number(part.node.dataset.step) !== step) part.node.dataset.state = "pending";
    const rows = data.rows(index);
    const row = rows && rows.clusters[cluster];
    showFlow(this.before, row ? row.from : null, cluster, rows && rows.before, "came from", [
      "was already here at",
      "were already here at",
    ]);
    showFlow(this.after, row ? row.to : null, cluster, rows && rows.after, "will move to", ["stays until", "stay until"]);
  }

  // ---------------------------------------------------------------------------------------------------------- both

  showHint() {
    const { lasso, cluster } = view.get();
    this.hint.hidden = Boolean(lasso) || cluster !== null || !this.data || !this.data.made;
    this.caught.node.hidden = !lasso;
    this.cluster.node.hidden = cluster === null;
  }
}

function inWords({ id, class_name: name, predicted_name: predicted, distance }) {
  const guess = predicted === undefined || predicted === name ? "" : `predicted ${predicted === null ? "nothing" : predicted}`;
  const away = Number.isFinite(distance) ? `${distance.toFixed(3)} from the centre` : "";
  return [id, name, guess, away].filter(Boolean).join(", ");
}

function showFlow(node, flow, cluster, step, word, stay) {
  const isKnown = flow && step !== null && flow.length;
  node.hidden = !isKnown;
  if (!isKnown) return;
  const others = flow.filter(([other]) => other !== cluster);
  const kept = flow.find(([other]) => other === cluster);
  const many = kept ? kept[1] : 0;
  /** @type {(string | Node)[]} */
  const parts = [`${grouped(many)} ${stay[many === 1 ? 0 : 1]} step ${grouped(step)}`];
  others.slice(0, FLOWS).forEach(([other, count], place) => {
    // "; 2 came from cluster 17, 1 from no cluster"
    parts.push(
      `${place ? "," : ";"} ${grouped(count)} ${place ? word.split(" ").at(-1) : word} `,
      other < 0 ? "no cluster" : linkTo(other),
    );
  });
  if (others.length > FLOWS) parts.push(` and ${others.length - FLOWS} more`);
  node.replaceChildren(...parts);
}

function linkTo(cluster) {
  const link = element("button", { type: "button", class: "cluster-link", title: `Select cluster ${cluster}` }, [marks.mark(cluster)]);
  link.dataset.cluster = String(cluster);
  link.append(`cluster ${cluster}`);
  return link;
}

/** A list of images in pages, under a title. */
class Section {
  constructor(label, turn) {
    this.title = element("h3", { class: "cluster-title" });
    this.pages = new ImagePages(PAGE, label.toLowerCase(), turn);
    const { bar, list, message } = this.pages;
    const head = element("div", { class: "cluster-bar" }, [this.title, bar]);
    this.node = element("section", { class: "cluster-part", "aria-label": label, hidden: true }, [head, list.node, message]);
  }

  /** As of `ImagePages`; the title or the table says how many there are on one page. */
  show(corpus, images, first, total, none) {
    this.pages.show(corpus, images, first, total, none);
    this.pages.bar.hidden = total <= PAGE;
  }
}

/** The React component behind components/browser_parts.py. */
export const ClusterImages = component("cluster-images", Images);
