/** The key map: all tables of keys, as they are registered. The component KeyMap, in the dialog that "?" opens. */
import { keyLabel, keyTables } from "mloscope/base/keys.mjs";
import { element, mounted } from "mloscope/base/dom.mjs";

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string}} props
 */
export const KeyMap = (props) => mounted("key-map-tables", mount, props);

function mount(root) {
  const general = keyTables.filter(({ isGeneral }) => isGeneral);
  const others = keyTables.filter(({ isGeneral }) => !isGeneral);
  root.append(...[...general, ...others].map(drawTable));
  return () => root.replaceChildren();
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
