/**
 * Says which layer tells a network's classes and what they are called: `basisForm`, the form at the end of the record.
 *
 *     Save, Reset ──► PUT runs/{run}/outputs ──► the subject is asked for again, and every number with it
 */
import { api } from "mloscope/base/addresses.mjs";
import { element } from "mloscope/base/dom.mjs";
import { fetchAnswer, fetchJson } from "mloscope/base/http.mjs";
import { askForSubject } from "mloscope/shell/workspace.mjs";

const LINES_SHOWN = 8;
const ONLY_EDITORS = "Only an editor may name outputs.";

/**
 * @param {{run: string, corpus: ?string, basis: Object}} subject
 * @param {boolean} isEditor
 * @returns {HTMLFormElement}
 */
export const basisForm = (subject, isEditor) => {
  const { output, classes } = subject.basis;
  const chosen = output.from === "chosen" ? output.layer : "";
  const before = classes.names.join("\n");
  const isUnnamed = classes.named_by === null && classes.matched_by === "not matched";
  const select = element("select", { class: "form-select basis-output", disabled: !isEditor });
  const layers = [...new Set([chosen, ...output.others])].filter(Boolean);
  const choices = [["", "as the network has it"], ...layers.map((layer) => [layer, layer])];
  select.append(...choices.map(([value, text]) => element("option", { value }, [text])));
  select.value = chosen;
  const names = element("textarea", {
    class: "basis-names", rows: Math.min(LINES_SHOWN, Math.max(2, classes.names.length)), spellcheck: "false", disabled: !isEditor,
  }); // prettier-ignore
  names.value = before;
  const problem = element("p", { class: "basis-problem", role: "alert" }, [isEditor ? "" : ONLY_EDITORS]);
  const theCorpuss = button("Use the corpus's names in its order", isEditor && subject.corpus);
  theCorpuss.hidden = true;
  const save = button("Save", isEditor, "submit");
  const reset = button("Reset", isEditor);
  reset.title = "Forget what was saved here: as options and files have it";
  const form = element("form", { class: "basis-form" }, [
    element("h3", { class: "basis-heading" }, ["Name the outputs"]),
    ...(layers.length ? [element("label", { class: "basis-field" }, [element("span", {}, ["Output"]), select])] : []),
    element("label", { class: "basis-field" }, [
      element("span", {}, ["A name per line, in the network's order; names of the corpus's classes are matched with them"]),
      names,
    ]),
    element("div", { class: "basis-buttons" }, [save, reset, theCorpuss]),
    problem,
  ]);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const written = names.value.replace(/\s+$/, "");
    // Left as they are, names of another output, and those that nobody gave, are not said; all others are from now on.
    const isUnsaid = written === before && (select.value !== chosen || isUnnamed);
    send({ output: select.value || null, classes: isUnsaid || !written ? [] : written.split("\n") });
  });
  reset.addEventListener("click", () => send({ output: null, classes: [] }));
  if (isEditor && subject.corpus) offerNamesOfCorpus();

  async function offerNamesOfCorpus() {
    try {
      const { class_names: found } = await fetchJson(api(["corpora", subject.corpus]));
      theCorpuss.hidden = !found.length || found.length !== classes.names.length;
      theCorpuss.addEventListener("click", () => {
        names.value = found.join("\n");
        names.focus();
      });
    } catch {
      theCorpuss.hidden = true; // the images say what is wrong with the corpus
    }
  }

  async function send(order) {
    const buttons = [save, reset];
    for (const each of buttons) each.disabled = true;
    problem.textContent = "";
    try {
      await fetchAnswer(api(["runs", subject.run, "outputs"]), undefined, {
        method: "PUT",
        headers: { "Content-Type": "application/json", "X-Mloscope": "1" },
        body: JSON.stringify({ ...order, corpus: subject.corpus }),
      });
      askForSubject();
    } catch (error) {
      problem.textContent = error.message;
    }
    for (const each of buttons) each.disabled = false;
  }

  return form;
};

function button(text, isEnabled, type = "button") {
  return element("button", { type, class: "basis-action", disabled: !isEnabled }, [text]);
}
