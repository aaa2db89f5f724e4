/** The changes of the lab's image as rows of numbers: the component LabChanges. */
import { select } from "mloscope/base/controls.mjs";
import { button, component, element } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";
import { applied, apply, changeOf, changes } from "mloscope/lab/image.mjs";

class Changes {
  /** @type {string | undefined} */ names;
  /** @type {{node: Element, fill: (values: number[]) => void}[]} */ rows = [];

  constructor(root) {
    this.root = root;
    this.list = element("ol", { class: "lab-changes", "aria-label": "Changes, in the order in which they are made" });
    const options = [
      ["", "Add a change …"],
      ...changes()
        .filter((change) => !change.is_stroke)
        .map(({ name, title }) => [name, title]),
    ];
    this.adding = select({ class: "tool-select lab-adding", "aria-label": "Add a change" }, options, (name) => this.add(name));
    this.root.append(this.list, this.adding);
    this.stop = view.subscribe((_, keys) => keys.includes("change") && this.show());
    this.show();
  }

  destroy() {
    this.stop();
    this.root.replaceChildren();
  }

  add(name) {
    if (name) apply([...applied(), { name, values: changeOf(name).numbers.map((number) => number.default) }]);
    this.adding.value = "";
  }

  /** Rows stay while their numbers change, so that the field that is typed into keeps the focus. */
  show() {
    const list = applied();
    const names = list.map(({ name }) => name).join();
    if (names !== this.names) {
      this.names = names;
      this.rows = list.map((each, place) => this.row(each, place));
      this.list.replaceChildren(...this.rows.map(({ node }) => node));
    }
    list.forEach(({ values }, place) => this.rows[place].fill(values));
  }

  row({ name }, place) {
    const change = changeOf(name);
    const fields = change.numbers.map((number, at) => this.number(change, number, place, at));
    const strokes = change.is_stroke ? [element("span", { class: "quiet-text" }, ["painted by hand"])] : [];
    const remove = button("images-button lab-remove", "×", `Take ${change.title.toLowerCase()} back`, () =>
      apply(applied().filter((_, other) => other !== place)),
    );
    const node = element("li", { class: "lab-change", title: change.help }, [
      element("span", { class: "lab-name" }, [change.title]),
      element("span", { class: "lab-numbers" }, [...fields.map((field) => field.node), ...strokes]),
      remove,
    ]);
    return { node, fill: (values) => fields.forEach((field, at) => field.show(values[at])) };
  }

  number(change, { name, low, high, unit }, place, at) {
    const label = `${change.title}: ${name}${unit ? ` in ${unit}` : ""}`;
    const step = high - low <= 20 ? 0.1 : 1;
    const input = element("input", {
      type: "number",
      class: "tool-input lab-number",
      min: low,
      max: high,
      step: step === 1 ? 1 : "any",
      "aria-label": label,
    });
    const use = () => {
      const value = Number(input.value);
      input.setCustomValidity(input.value !== "" && value >= low && value <= high ? "" : `From ${low} to ${high}.`);
      if (!input.reportValidity()) return;
      const list = applied();
      list[place].values[at] = value;
      apply(list);
    };
    input.addEventListener("change", use);
    return {
      node: element("label", { class: "lab-field" }, [element("span", {}, [name]), input, element("span", { class: "lab-unit" }, [unit])]),
      show: (value) => {
        if (document.activeElement !== input || Number(input.value) !== value) input.value = String(value);
      },
    };
  }
}

/** The React component behind components/browser_parts.py. */
export const LabChanges = component("lab-controls", Changes);
