/**
 * Parts of the view, for charts that show no more of it: choosing an image must not have the unit's charts drawn again.
 *
 *     Store "view" ──part──► Store "unit-view", "image-view", "confusion-view" ...
 *
 * Which fields a part has, the table of pages says (app/web/dash/page_data.py). A part
 * that stays as it is is not written, and callbacks that take it are not called.
 */
import { pageData } from "mloscope/base/page_data.mjs";
import { view } from "mloscope/base/view.mjs";

const clientside = (window.dash_clientside = window.dash_clientside || {});
/** @returns {{keys: string[], onlyWhere: Record<string, string[]>}} */
const ruleOf = (id) => pageData("view-parts")[id];

/** The fields of the view that the store keeps; a field that means nothing now holds its default. */
function partOf(values, { keys, onlyWhere }) {
  const defaults = Object.fromEntries(view.fields().map((field) => [field.key, field.default]));
  const means = (key) => {
    const [field, ...allowed] = onlyWhere[key] || [];
    return !field || allowed.includes(values[field]);
  };
  return Object.fromEntries(keys.map((key) => [key, means(key) ? values[key] : defaults[key]]));
}

clientside.mloscopeView = {
  part(values, held) {
    const { id } = clientside.callback_context.outputs_list;
    const now = values && values.layer ? partOf(values, ruleOf(id)) : held; // nothing before a run is open
    return JSON.stringify(now) === JSON.stringify(held) ? clientside.no_update : now;
  },
};
