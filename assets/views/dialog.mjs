/**
 * Saved views: the component SavedViews. "Save view" and "Views" in the top bar, and the dialog with the list: search, open, share,
 * rename, delete. Viewers may open and share.
 */
import { copied, sayCopied } from "mloscope/base/clipboard.mjs";
import { button, component, element, follow, hit, write } from "mloscope/base/dom.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { shownTitle } from "mloscope/shell/title.mjs";
import { savedViews } from "mloscope/views/saved_views.mjs";

/** @typedef {import("mloscope/views/saved_views.mjs").SavedView} SavedView */

class Dialog {
  /** @type {SavedView[]} */
  views = [];
  /** @type {string | null} id of the view that is being renamed */
  renamed = null;
  /** @type {string | null} id of the view whose Delete was pressed once */
  doomed = null;

  /** @param {HTMLElement} root @param {{editor: boolean}} props whether views may be saved */
  constructor(root, { editor }) {
    this.root = root;
    this.isEditor = Boolean(editor);
    this.search = element("input", {
      class: "views-field views-search", type: "search", placeholder: "search names, notes, runs", "aria-label": "Search saved views",
      autocomplete: "off", spellcheck: "false",
    }); // prettier-ignore
    this.list = element("ul", { class: "views-list" });
    this.message = element("p", { class: "views-message", role: "status" });
    this.form = form({ name: "", note: "" }, "Save", (values) => this.save(values));
    this.dialog = element("dialog", { class: "views-dialog", "aria-label": "Saved views", "data-own-keys": true }, [
      element("div", { class: "views-head" }, [
        element("h2", { class: "panel-title" }, ["Saved views"]),
        button("notice-close", "×", "Close (Escape)", () => this.dialog.close()),
      ]),
      this.form,
      this.search,
      this.message,
      this.list,
    ]);
    const save = button("bar-button", "Save view", "Save exactly this view with a name and a note", () => this.open(true));
    const open = button("bar-button", "Views", "Open, search and share saved views", () => this.open(false));
    save.hidden = !this.isEditor;
    root.append(save, open, this.dialog);
    this.search.addEventListener("input", () => this.show());
    this.dialog.addEventListener("click", (event) => this.click(event));
  }

  destroy() {
    this.dialog.close();
    this.root.replaceChildren();
  }

  /** @param {boolean} isSaving whether the form for this view is shown */
  async open(isSaving) {
    time.pause();
    this.form.hidden = !isSaving;
    this.renamed = this.doomed = null;
    this.search.value = "";
    this.address = savedViews.here();
    this.form.reset();
    this.form.elements.name.value = shownTitle();
    this.dialog.showModal();
    if (isSaving) this.form.elements.name.select();
    await this.read();
  }

  async read() {
    try {
      this.views = await savedViews.list();
      this.say("");
    } catch (error) {
      this.say(error.message);
    }
    this.show();
  }

  /** What the server refuses is said, and nothing is lost that was typed. @param {Promise<any>} change */
  async after(change) {
    try {
      await change;
    } catch (error) {
      this.say(error.message);
      return false;
    }
    await this.read();
    return true;
  }

  async save({ name, note }) {
    if (await this.after(savedViews.save({ name, note, address: String(this.address) }))) this.form.hidden = true;
  }

  async rename(saved, values) {
    this.renamed = null;
    if (!(await this.after(savedViews.change(saved.id, values)))) this.renamed = saved.id;
  }

  show() {
    const found = this.views.filter((saved) => savedViews.matches(saved, this.search.value));
    this.list.replaceChildren(...found.map((saved) => this.item(saved)));
    this.search.hidden = this.views.length < 2;
    if (!found.length && !this.message.textContent) this.say(this.views.length ? "No saved view has all of these words." : EMPTY, true);
    else if (found.length && this.message.dataset.empty) this.say("");
  }

  say(text, isEmpty = false) {
    write(this.message, text);
    this.message.toggleAttribute("data-empty", isEmpty);
    this.message.hidden = !text;
  }

  /** @param {SavedView} saved */
  item(saved) {
    if (saved.id === this.renamed) return element("li", {}, [form(saved, "Rename", (values) => this.rename(saved, values))]);
    const about = [saved.run, saved.corpus, new Date(saved.saved).toLocaleString(), saved.author].filter(Boolean).join(" · ");
    const act = (name, title) => element("button", { type: "button", class: "views-button", title, "data-act": name }, [ACTS[name]]);
    const last = saved.id === this.doomed ? "remove" : "doom";
    return element("li", { class: "views-item", "data-id": saved.id }, [
      element("a", { class: "views-name", href: savedViews.addressOf(saved) }, [saved.name]),
      element("span", { class: "views-acts" }, [
        act("share", `Copy the address of ${saved.name}`),
        ...(this.isEditor ? [act("rename", `Rename ${saved.name}`), act(last, `Delete ${saved.name}`)] : []),
      ]),
      element("span", { class: "views-about" }, [about]),
      ...(saved.note ? [element("p", { class: "views-note" }, [saved.note])] : []),
      ...(saved.problem ? [element("p", { class: "views-problem" }, [saved.problem])] : []),
    ]);
  }

  click(event) {
    if (event.target === this.dialog) this.dialog.close(); // beside it
    const item = hit(event, "[data-id]");
    const saved = item && this.views.find(({ id }) => id === item.dataset.id);
    if (!saved) return;
    const pressed = hit(event, "[data-act]");
    const link = hit(event, ".views-name");
    if (link)
      follow(event, () => {
        this.dialog.close();
        view.go(savedViews.addressOf(saved));
      });
    if (pressed) this.act(String(pressed.dataset.act), saved, pressed);
  }

  /** @param {string} name @param {SavedView} saved @param {HTMLElement} pressed */
  act(name, saved, pressed) {
    if (name === "share") this.share(saved, pressed);
    else if (name === "remove") this.after(savedViews.remove(saved.id));
    else {
      this.renamed = name === "rename" ? saved.id : null;
      this.doomed = name === "doom" ? saved.id : null;
      this.show();
      /** @type {HTMLElement | null} */ (this.list.querySelector('input, [data-act="remove"]'))?.focus();
    }
  }

  async share(saved, pressed) {
    const address = location.origin + savedViews.addressOf(saved);
    if (await copied(address)) sayCopied(pressed, ACTS.share);
    else this.say(address);
  }
}

const ACTS = { share: "Share", rename: "Rename", doom: "Delete", remove: "Delete now" };
const EMPTY = "No view is saved yet.";

/** A form for name and note. @param {{name: string, note: string}} values @param {string} word on the button @param {(values: any) => void} send */
function form({ name, note }, word, send) {
  const limits = pageData("limits");
  const made = /** @type {any} */ (
    element("form", { class: "views-form" }, [
      element("label", {}, ["Name", element("input", { class: "views-field", name: "name", value: name, required: true, maxlength: limits.viewName, autocomplete: "off" })]), // prettier-ignore
      element("label", {}, [
        "Note",
        element("textarea", { class: "views-field", name: "note", rows: 3, maxlength: limits.viewNote }, [note]),
      ]),
      element("button", { type: "submit", class: "views-button views-primary" }, [word]),
    ])
  );
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    send({ name: made.elements.name.value, note: made.elements.note.value });
  });
  return made;
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, editor: boolean}} props
 */
export const SavedViews = component("views", Dialog);
