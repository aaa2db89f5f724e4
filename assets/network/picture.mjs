/** The network's picture as the server drew it: its nodes, where they stand, what is said of them, and the way from one to the next. */

const NODES = ".graph-node, .graph-handle";

/** @typedef {import("mloscope/network/camera.mjs").Box} Box */

export class Picture {
  /**
   * Read a picture. It is parsed as XML and imported: names in it are text, whatever they hold.
   * @param {string} text
   * @returns {Picture | null} null where the text is not a picture
   */
  static read(text) {
    const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
    const drawn = parsed.documentElement;
    if (drawn.localName !== "svg" || parsed.querySelector("parsererror")) return null;
    return new Picture(document.importNode(drawn, true));
  }

  /** @param {Element} svg */
  constructor(svg) {
    this.svg = svg;
    this.size = { width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
    for (const name of ["viewBox", "width", "height"]) svg.removeAttribute(name);
    this.world = /** @type {SVGGElement} */ (svg.querySelector(".graph-world"));
    this.nodes = [...svg.querySelectorAll(NODES)];
    this.words = new Map();
    for (const title of svg.querySelectorAll("title")) {
      // The words are shown by the tooltip, at once; the browser's own would come a second time, late.
      this.words.set(title.parentNode, title.textContent);
      title.remove();
    }
    /** @type {Map<Element, Box>} */
    this.places = new Map(this.nodes.map((node) => [node, boxOf(node)]));
  }

  /** @param {Element} node @returns {Box} */
  box(node) {
    return /** @type {Box} */ (this.places.get(node));
  }

  /** The box of what stands for a block: its node, or its frame. @param {string | undefined} id @returns {Box | null} */
  boxOfBlock(id) {
    if (!id) return null;
    const frame = this.frames().find((candidate) => candidate.dataset.block === id);
    if (frame) {
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(frame.getAttribute(name)));
      return { x, y, width, height };
    }
    const node = this.block(id);
    return node ? this.box(node) : null;
  }

  frames() {
    return [...this.svg.querySelectorAll(".graph-frame")];
  }

  /** The node of a layer. @param {string} name */
  layer(name) {
    return this.nodes.find((node) => node.dataset.layer === name);
  }

  /** The node or handle of a block. @param {string | undefined} id */
  block(id) {
    return id ? this.nodes.find((node) => node.dataset.block === id) : undefined;
  }

  /** The folded block that holds a layer. @param {string} layer */
  holding(layer) {
    return this.nodes.find((node) => node.dataset.block && members(node).includes(layer));
  }

  /** What stands for the selected layer: itself, or the folded block it is in. */
  marked() {
    return this.nodes.find((node) => node.matches(".graph-selected, .graph-holds-selected"));
  }

  /** Mark a layer as selected. @param {string} layer */
  mark(layer) {
    for (const node of this.nodes) {
      const chosen = node.dataset.layer === layer;
      node.classList.toggle("graph-selected", chosen);
      node.classList.toggle("graph-holds-selected", members(node).includes(layer));
      if (node.dataset.layer !== undefined) node.setAttribute("aria-pressed", chosen);
    }
  }

  /** The nodes of the main way, from left to right. */
  main() {
    return this.nodes.filter((node) => node.dataset.main);
  }

  /** The next node to the right (1) or left (-1) on the main way. @param {Element} node @param {number} direction */
  along(node, direction) {
    const here = centre(this.box(node));
    const beyond = this.main()
      .filter((candidate) => candidate !== node)
      .map((candidate) => ({ candidate, distance: (centre(this.box(candidate)).x - here.x) * direction }))
      .filter(({ distance }) => distance > 0.5)
      .sort((a, b) => a.distance - b.distance);
    return beyond.length ? beyond[0].candidate : node;
  }

  /** The nearest node or header above (-1) or below (1). @param {Element} node @param {number} direction */
  across(node, direction) {
    const here = centre(this.box(node));
    const cost = (candidate) => {
      const there = centre(this.box(candidate));
      return (there.y - here.y) * direction <= 4 ? Infinity : Math.abs(there.y - here.y) + 2 * Math.abs(there.x - here.x);
    };
    const found = this.nodes.map((candidate) => ({ candidate, far: cost(candidate) })).sort((a, b) => a.far - b.far);
    return found.length && found[0].far < Infinity ? found[0].candidate : node;
  }

  /** The open blocks around a node. @param {Element} node @returns {string[]} their ids, the innermost first */
  blocksAround(node) {
    const { x, y } = centre(this.box(node));
    return this.frames()
      .map((frame) => ({ id: String(frame.dataset.block), box: /** @type {Box} */ (this.boxOfBlock(frame.dataset.block)) }))
      .filter(({ box }) => x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height)
      .sort((a, b) => a.box.width * a.box.height - b.box.width * b.box.height)
      .map(({ id }) => id);
  }
}

/** @param {Element} node @returns {string[]} the layers in a folded block */
function members(node) {
  return node.dataset.members ? JSON.parse(node.dataset.members) : [];
}

/** @param {Box} box */
function centre(box) {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/** Where a node stands, from what the picture says, without asking for layout. @param {Element} node @returns {Box} */
function boxOf(node) {
  const [, x, y] = /translate\(([-\d.]+) ([-\d.]+)\)/.exec(node.getAttribute("transform") || "") || [];
  const ground = /** @type {Element} */ (node.querySelector(".graph-body, .graph-handle-ground"));
  const side = ground.localName === "circle" ? 2 * Number(ground.getAttribute("r")) : null;
  return {
    x: Number(x),
    y: Number(y),
    width: side || Number(ground.getAttribute("width")),
    height: side || Number(ground.getAttribute("height")),
  };
}
