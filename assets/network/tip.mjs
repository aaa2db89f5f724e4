/** What is said of a node, beside the pointer or below the node that has the focus. */
import { element } from "mloscope/base/dom.mjs";

export class Tip {
  /** @type {Element | null} what it is about */
  about = null;

  /** @param {HTMLElement} root of the component */
  constructor(root) {
    this.root = root;
    this.node = element("div", { class: "graph-tip", role: "tooltip", hidden: true });
  }

  /**
   * @param {Element} node
   * @param {string} words in lines; the first is the heading
   * @param {PointerEvent | null} event where the pointer is; null: the node has the focus
   */
  tell(node, words, event) {
    if (this.about !== node) {
      this.about = node;
      this.node.replaceChildren(...words.split("\n").map((line, i) => element(i ? "div" : "strong", {}, [line])));
      this.node.hidden = false;
    }
    const root = this.root.getBoundingClientRect();
    const box = node.getBoundingClientRect();
    const x = (event ? event.clientX + 12 : box.left) - root.left;
    const y = Math.min(box.bottom, root.bottom) - root.top + 8;
    this.node.style.left = `${Math.max(4, Math.min(x, root.width - this.node.offsetWidth - 4))}px`;
    this.node.style.top = `${y}px`;
  }

  hide() {
    this.about = null;
    this.node.hidden = true;
  }
}
