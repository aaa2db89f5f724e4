/**
 * A select that shows a field of the view and sets it: the component ViewSelect, for pages that need no script of their own.
 */
import { element, mounted } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";

/**
 * @param {{id: string, field: string, label: string, help: string, options: [string, string][]}} props a value and its text each
 */
export const ViewSelect = (props) => mounted("tool", mount, props);

function mount(root, { field, label, help, options }) {
  const choices = options.map(([value, text]) => element("option", { value }, [text]));
  const select = element("select", { class: "form-select tool-select", "data-view": field }, choices);
  const show = () => (select.value = view.get()[field]);
  select.addEventListener("change", () => view.set({ [field]: select.value }));
  root.append(element("label", { title: help || null }, [element("span", {}, [label]), select]));
  const stop = view.subscribe((_, changed) => changed.includes(field) && show());
  show();
  return () => {
    stop();
    root.replaceChildren();
  };
}
