/**
 * What the page's numbers rest on, in one quiet line that opens the whole record: the component BasisLine.
 *
 *     subject.basis ──► a button: what is in force, warnings and what is assumed ──click──► panel (assets/basis/panel.mjs, assets/basis/form.mjs)
 *     compare: B's   ──► a second button where B rests on something else
 */
import { component, element } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { basisPanel } from "mloscope/basis/panel.mjs";
import { basisWords } from "mloscope/basis/words.mjs";
import { compare } from "mloscope/compare/state.mjs";

const panelKeys = keyTable("What the numbers rest on", [{ keys: ["Escape"], does: "close", act: (line) => line.leave() }]);

/** The button of one side. */
class Side {
  /** @type {any} */ subject;
  /** @type {any} */ letter;
  /** @type {any} */ line;

  constructor(line, letter) {
    Object.assign(this, { line, letter, subject: null });
    this.badge = element("span", { class: "basis-badge", hidden: true }, [letter]);
    this.facts = element("span", { class: "basis-facts" });
    this.flags = element("span", { class: "basis-flags" });
    this.button = element(
      "button",
      { type: "button", class: "basis-button", "data-side": letter, "aria-expanded": "false", "aria-controls": "basis-panel", title: "What these numbers rest on", hidden: true },
      [this.badge, this.facts, this.flags, element("span", { class: "basis-chevron", "aria-hidden": "true" }, ["⌄"])],
    ); // prettier-ignore
    this.button.addEventListener("click", () => line.toggle(this));
  }

  /** @param {any | null} subject @param {string} badge "" where there is one side only */
  show(subject, badge) {
    const record = subject && subject.basis ? subject.basis : null;
    this.subject = record ? subject : null;
    this.button.hidden = !record;
    this.badge.hidden = !badge;
    this.badge.textContent = badge;
    if (!record) return;
    this.facts.textContent = basisWords.line(record);
    this.flags.replaceChildren(
      ...basisWords.flags(record).map(({ kind, icon, number, words }) =>
        element("span", { class: "basis-flag", "data-kind": kind, title: `${number} ${words}` }, [
          element("span", { class: "basis-icon", "aria-hidden": "true" }, [icon]), ` ${number}`, element("span", { class: "basis-flag-words" }, [` ${words}`]),
        ]),
      ),
    ); // prettier-ignore
  }
}

class Line {
  /** @type {any} */ shown;
  /** @type {any} */ open;
  /** @type {any} */ told;
  /** @type {any} */ isEditor;
  /** @type {any} */ root;

  constructor(root, { editor = false }) {
    Object.assign(this, { root, isEditor: editor, open: null, told: "" });
    this.sides = [new Side(this, "A"), new Side(this, "B")];
    this.panel = element("div", {
      class: "basis-panel", id: "basis-panel", role: "dialog", "aria-label": "What the numbers rest on", tabindex: -1, "data-own-keys": true, hidden: true,
    }); // prettier-ignore
    root.append(...this.sides.map(({ button }) => button), this.panel);
    const outside = (event) => !root.contains(event.target) && this.toggle(null);
    const key = (event) => this.open && panelKeys(this, event);
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", key);
    this.undo = [
      onOpen(() => this.show()),
      compare.onSubject(() => this.show()),
      () => document.removeEventListener("pointerdown", outside),
      () => document.removeEventListener("keydown", key),
    ];
    this.show();
  }

  destroy() {
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  show() {
    const a = subject;
    const b = compare.subject;
    if (this.shown && this.shown[0] === a && this.shown[1] === b) return; // called on every frame while B's slider is dragged
    this.shown = [a, b];
    const isAlike = Boolean(a && b) && withoutRun(a.basis) === withoutRun(b.basis);
    this.sides[0].show(a, !b ? "" : isAlike ? "A, B" : "A");
    this.sides[1].show(isAlike ? null : b, "B");
    this.root.dataset.sides = this.sides.filter(({ button }) => !button.hidden).length;
    if (this.open && !this.open.subject) this.toggle(null);
    else if (this.open) this.fill();
  }

  /** Open a side's record, or close what is open. */
  toggle(side) {
    this.open = side && side !== this.open && side.subject ? side : null;
    for (const each of this.sides) each.button.setAttribute("aria-expanded", String(each === this.open));
    this.panel.hidden = !this.open;
    this.told = "";
    if (!this.open) return;
    this.fill();
    this.panel.scrollTop = 0;
    this.panel.focus({ preventScroll: true });
  }

  leave() {
    const { button } = this.open;
    this.toggle(null);
    button.focus();
  }

  /** Another record is drawn; the same one is left alone, since the user may be filling in its form. */
  fill() {
    const { subject } = this.open;
    const told = JSON.stringify([subject.run, subject.corpus, subject.basis]);
    if (told === this.told) return;
    this.told = told;
    this.panel.replaceChildren(...basisPanel(subject, this.isEditor));
  }
}

const withoutRun = (basis) => JSON.stringify({ ...basis, run: null });

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, editor: boolean}} props editor: whether who looks may name the outputs
 */
export const BasisLine = component("basis-line", Line);
