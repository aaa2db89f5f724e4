/**
 * Says which layer tells a network's classes and what they are called: `basisForm`, the form at the end of the record.
 *
 *     Save, Reset ──► PUT runs/{run}/outputs ──► the subject is asked for again, and every number with it
 */
import { api } from "mloscope/base/addresses.mjs";
import { element } from "mloscope/base/dom.mjs";
import { fetchJson, sendChange } from "mloscope/base/http.mjs";
import { askForSubject } from "mloscope/shell/workspace.mjs";

const LINES_SHOWN = 8;
const ONLY_EDITORS = "Only an editor may name outputs.";

/**
 * The form of a subject.
 * @param {{run: string, corpus: string | null, basis: any}} subject
 * @param {boolean} isEditor whether the outputs may be named
 * @returns {HTMLFormElement}
 */
export const basisForm = (subject, isEditor) => new Form(subject, isEditor).node;

class Form {
  constructor(subject, isEditor) {
    const { output, classes } = subject.basis;
    this.subject = subject;
    this.chosen = output.from === "chosen" ? output.layer : "";
    this.before = classes.names.join("\n");
    this.isUnnamed = classes.named_by === null && classes.matched_by === "not matched";
    const layers = [...new Set([this.chosen, ...output.others])].filter(Boolean);
    this.select = element("select", { class: "form-select basis-output", disabled: !isEditor });
    const choices = [["", "as the network has it"], ...layers.map((layer) => [layer, layer])];
    this.select.append(...choices.map(([value, text]) => element("option", { value }, [text])));
    this.select.value = this.chosen;
    this.names = element("textarea", {
      class: "basis-names", rows: Math.min(LINES_SHOWN, Math.max(2, classes.names.length)), spellcheck: "false", disabled: !isEditor,
    }); // prettier-ignore
    this.names.value = this.before;
    this.problem = element("p", { class: "basis-problem", role: "alert" }, [isEditor ? "" : ONLY_EDITORS]);
    this.buttons = this.makeButtons(isEditor);
    this.node = this.arranged(layers.length > 0);
    this.node.addEventListener("submit", (event) => this.submit(event));
    if (isEditor && subject.corpus) this.offerNamesOfCorpus();
  }

  makeButtons(isEditor) {
    const made = (text, isEnabled, type = "button") => element("button", { type, class: "basis-action", disabled: !isEnabled }, [text]);
    const buttons = {
      save: made("Save", isEditor, "submit"),
      reset: made("Reset", isEditor),
      theCorpuss: made("Use the corpus's names in its order", isEditor && this.subject.corpus),
    };
    buttons.theCorpuss.hidden = true;
    buttons.reset.title = "Forget what was saved here: as options and files have it";
    buttons.reset.addEventListener("click", () => this.send({ output: null, classes: [] }));
    return buttons;
  }

  arranged(hasOutputs) {
    const { save, reset, theCorpuss } = this.buttons;
    return element("form", { class: "basis-form" }, [
      element("h3", { class: "basis-heading" }, ["Name the outputs"]),
      ...(hasOutputs ? [element("label", { class: "basis-field" }, [element("span", {}, ["Output"]), this.select])] : []),
      element("label", { class: "basis-field" }, [
        element("span", {}, ["A name per line, in the network's order; names of the corpus's classes are matched with them"]),
        this.names,
      ]),
      element("div", { class: "basis-buttons" }, [save, reset, theCorpuss]),
      this.problem,
    ]);
  }

  submit(event) {
    event.preventDefault();
    const written = this.names.value.replace(/\s+$/, "");
    // Left as they are, names of another output, and those that nobody gave, are not sent; all others are from now on.
    const isUnsaid = written === this.before && (this.select.value !== this.chosen || this.isUnnamed);
    this.send({ output: this.select.value || null, classes: isUnsaid || !written ? [] : written.split("\n") });
  }

  async offerNamesOfCorpus() {
    const { theCorpuss } = this.buttons;
    try {
      const { class_names: found } = await fetchJson(api(["corpora", String(this.subject.corpus)]));
      theCorpuss.hidden = !found.length || found.length !== this.subject.basis.classes.names.length;
      theCorpuss.addEventListener("click", () => {
        this.names.value = found.join("\n");
        this.names.focus();
      });
    } catch {
      theCorpuss.hidden = true; // the images say what is wrong with the corpus
    }
  }

  async send(order) {
    const { save, reset } = this.buttons;
    save.disabled = reset.disabled = true;
    this.problem.textContent = "";
    try {
      await sendChange("PUT", api(["runs", this.subject.run, "outputs"]), { ...order, corpus: this.subject.corpus });
      askForSubject();
    } catch (error) {
      this.problem.textContent = error.message;
    }
    save.disabled = reset.disabled = false;
  }
}
