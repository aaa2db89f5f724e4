/** What can be done with the chosen runs: open one, compare two, see the curves of many, give them tags and a group. */
import { api } from "mloscope/base/addresses.mjs";
import { button, element } from "mloscope/base/dom.mjs";
import { fetchAnswer } from "mloscope/base/http.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { view } from "mloscope/base/view.mjs";
import { addressOf } from "mloscope/runs/addresses.mjs";

/** @typedef {import("mloscope/runs/columns.mjs").Row} Row */

/**
 * @param {Row[]} rows the chosen ones
 * @param {boolean} isEditor
 * @param {() => void} changed
 * @param {Row[]} all
 * @returns {HTMLElement[]}
 */
export const actionsFor = (rows, isEditor, changed, all) => {
  const usable = rows.filter(({ state }) => state !== "broken").map(({ name }) => name);
  if (!rows.length)
    return [element("span", { class: "quiet-text" }, ["Choose one run to open it, two to compare."])];
  const [a, b] = usable;
  const link = (text, href, title) => element("a", { class: "runs-action", href, title }, [text]);
  return [
    element("strong", {}, [`${rows.length} chosen`]),
    ...(usable.length === 1 ? [link("Open", addressOf("/", a), `Network of ${a}`)] : []),
    ...(usable.length === 2 ? [link("Compare", addressOf("/compare", a, { "b-run": b, "b-step": null }), `${a} with ${b}`)] : []),
    ...(isEditor ? [labelForm(rows, changed, all)] : []),
    button("runs-action", "Clear", "Choose none", () => view.set({ "runs-chosen": "" }, { history: "replace" })),
  ];
};

/** Tags and a group for all of the rows. */
function labelForm(rows, changed, all) {
  const suggestions = (id, words) =>
    element(
      "datalist",
      { id },
      [...new Set(words)].sort().map((value) => element("option", { value })),
    );
  const tag = element("input", { class: "tool-input", list: "runs-known-tags", placeholder: "tag", "aria-label": "Tag", maxlength: 60 });
  const group = element("input", {
    class: "tool-input",
    list: "runs-known-groups",
    placeholder: "group",
    "aria-label": "Group",
    maxlength: 60,
  });
  const change = async (labelsOf) => {
    try {
      for (const row of rows) await putLabels(row.name, labelsOf(row));
    } catch (error) {
      notice(error.message);
    }
    changed();
  };
  const word = () => tag.value.trim();
  const add = button(
    "runs-action",
    "Add tag",
    "Give the chosen runs this tag",
    () => word() && change((row) => ({ tags: [...row.tags, word()], group: row.group })),
  );
  const remove = button("runs-action", "Remove tag", "Take this tag from the chosen runs", () =>
    change((row) => ({ tags: row.tags.filter((each) => each !== word()), group: row.group })),
  );
  const move = button("runs-action", "Set group", "Put the chosen runs into this group; empty: into none", () =>
    change((row) => ({ tags: row.tags, group: group.value.trim() })),
  );
  const form = element("div", { class: "runs-menu-body" }, [
    element("div", { class: "tool" }, [tag, add, remove]),
    element("div", { class: "tool" }, [group, move]),
    suggestions("runs-known-tags", all.flatMap(({ tags }) => tags)),
    suggestions("runs-known-groups", all.map((row) => row.group).filter(Boolean)),
  ]); // prettier-ignore
  return element("details", { class: "runs-menu" }, [element("summary", { class: "runs-action" }, ["Tags and group"]), form]);
}

const putLabels = (run, labels) =>
  fetchAnswer(api(["runs", run, "labels"]), undefined, {
    method: "PUT",
    headers: { "Content-Type": "application/json", "X-Mloscope": "1" },
    body: JSON.stringify(labels),
  });
