/** The key map: all tables of keys, as they are registered. The component KeyMap, in the dialog that "?" opens. */
import { component, element } from "mloscope/base/dom.mjs";
import { keyLabel, keyTables } from "mloscope/base/keys.mjs";

class KeyTables {
  constructor(root) {
    const general = keyTables.filter(({ isGeneral }) => isGeneral);
    const others = keyTables.filter(({ isGeneral }) => !isGeneral);
    root.append(element("div", { class: "key-map-columns" }, [...general, ...others].map(drawTable)));
    Object.assign(root, { tabIndex: 0, role: "region", ariaLabel: "Keys" }); // arrows scroll it
    this.root = root;
  }

  destroy() {
    this.root.replaceChildren();
  }
}

function drawTable({ place, rows }) {
  const drawn = rows.flatMap(({ keys, does }) => [
    element(
      "dt",
      {},
      keys.map((key) => element("kbd", {}, [keyLabel(key)])),
    ),
    element("dd", {}, [does]),
  ]);
  return element("section", { class: "key-table" }, [element("h3", {}, [place]), element("dl", {}, drawn)]);
}

/** The React component behind components/browser_parts.py. */
export const KeyMap = component("key-map-tables", KeyTables);
