/** What can be done with the chosen runs: open one, compare two, see the curves of many, give them tags and a group. */
import { api } from "mloscope/base/addresses.mjs";
import { button, element, follow } from "mloscope/base/dom.mjs";
import { sendChange } from "mloscope/base/http.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { addressOf, inNames } from "mloscope/runs/addresses.mjs";

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
    return [element("span", { class: "quiet-text" }, ["Choose one run to open it, two to compare, several for their curves."])];
  const open = usable.find((name) => subject && name === subject.run);
  const a = open || usable[0];
  const b = usable.find((name) => name !== a);
  return [
    element("strong", {}, [`${rows.length} chosen`]),
    ...(usable.length === 1 ? [link("Open", addressOf("/", a), `Network of ${a}`)] : []),
    ...(usable.length === 2 ? [link("Compare", addressOf("/compare", a, { "b-run": b, "b-step": null }), `${a} with ${b}`)] : []),
    ...(usable.length
      ? [link("Curves", addressOf("/curves", null, { "runs-chosen": inNames(usable) }), "Metrics of the chosen runs")]
      : []),
    ...(isEditor ? [labelForm(rows, changed, all)] : []),
    button("runs-action", "Clear", "Choose none", () => view.set({ "runs-chosen": "" }, { history: "replace" })),
  ];
};

/** A link to a page for the chosen runs. */
function link(text, href, title) {
  const node = element("a", { class: "runs-action", href, title }, [text]);
  node.addEventListener("click", (event) => follow(event, () => view.go(href)));
  return node;
}

const field = (placeholder, label, list) =>
  element("input", { class: "tool-input", list, placeholder, "aria-label": label, maxlength: pageData("limits").label });

/** Tags and a group for all of the rows. */
function labelForm(rows, changed, all) {
  const suggestions = (id, words) =>
    element(
      "datalist",
      { id },
      [...new Set(words)].sort().map((value) => element("option", { value })),
    );
  const tag = field("tag", "Tag", "runs-known-tags");
  const group = field("group", "Group", "runs-known-groups");
  const change = async (labelsOf) => {
    try {
      for (const row of rows) await sendChange("PUT", api(["runs", row.name, "labels"]), labelsOf(row));
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
