/**
 * A select that shows a field of the view and sets it: the component ViewSelect, for pages that need no script of their own.
 */
import { select } from "mloscope/base/controls.mjs";
import { component, element } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";

class FieldSelect {
  constructor(root, { field, label, help, options }) {
    const node = select({ class: "tool-select", "data-view": field }, options, (value) => view.set({ [field]: value }));
    const show = () => (node.value = view.get()[field]);
    root.append(element("label", { title: help || null }, [element("span", {}, [label]), node]));
    this.root = root;
    this.stop = view.subscribe((_, changed) => changed.includes(field) && show());
    show();
  }

  destroy() {
    this.stop();
    this.root.replaceChildren();
  }
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, field: string, label: string, help: string, options: [string, string][]}} props a value and its text each
 */
export const ViewSelect = component("tool", FieldSelect);
