/** What stands in place of a map that has not been computed: how long it takes, and the button that computes it. */
import { button, element, write } from "mloscope/base/dom.mjs";
import { duration } from "mloscope/base/numbers.mjs";

const AT_WORK = new Set(["starting", "running"]);

export class LackingMap {
  /** @type {any} */ data = null;
  problem = ""; // what the server said to the last order

  /** @param {{draw: () => void}} map told when something was said */
  constructor(map) {
    this.map = map;
    this.words = element("p", { role: "status" });
    this.order = button("cluster-button", "Compute it", "Compute this map in the background", () => this.compute());
    this.node = element("div", { class: "points-lacking", hidden: true }, [this.words, this.order]);
  }

  /** @param {any} data the ClusterData @returns {boolean} whether the map is lacking, and this stands in its place */
  show(data) {
    this.data = data;
    const { map } = data;
    const isLacking = Boolean(map && !map.key);
    this.node.hidden = !isLacking;
    if (!isLacking) return false;
    const { job, command } = data.statistics.overview;
    const isAtWork = Boolean(job && AT_WORK.has(job.state));
    const sentences = [`The ${map.label} map of these checkpoints has not been computed yet.`];
    if (isAtWork) sentences.push("A computation is running; it shows there how far it is.");
    else if (job) sentences.push(`It takes about ${duration(map.expected_seconds)}.`);
    else sentences.push(`This computes it: ${command} --map ${map.kind}`);
    write(this.words, [...sentences, this.problem].filter(Boolean).join(" "));
    this.order.hidden = isAtWork || !job;
    return true;
  }

  async compute() {
    this.order.disabled = true;
    this.problem = "";
    try {
      await this.data.statistics.job("start", [this.data.map.kind]);
    } catch (error) {
      this.problem = error.message;
    }
    this.order.disabled = false;
    this.map.draw();
  }
}
