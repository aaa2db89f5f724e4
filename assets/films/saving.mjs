/**
 * Saving a film, or the whole view, as a file: `saveFilm` opens a dialog. The server draws the film as it is shown here (app/export/)
 * and tells how it goes; the view becomes one HTML file (app/web/dash/saved_page.py).
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { button, element, write } from "mloscope/base/dom.mjs";
import { fetchAnswer, readLines } from "mloscope/base/http.mjs";
import { counted, megabytes } from "mloscope/base/numbers.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { MAIN } from "mloscope/films/main_side.mjs";

const QUICK_MS = 500; // what takes longer shows how far it is
const LEAST_ROOM_PX = 64; // as the server has it

/** @typedef {import("mloscope/films/canvas.mjs").FilmView} FilmView */

/** The address of the file of a film that is on screen. @param {FilmView} film @param {any} fields of the form */
export function addressOf(film, { format, first, last, speed, captions }) {
  const { url } = film.wantedUrl();
  if (!url) return null;
  const { colour, range, symmetric } = view.get();
  const { width, height } = film.stage.getBoundingClientRect();
  const { across = null, bars = false, grid = false, matrix = false } = film.layout || {};
  const look = {
    colour, range, symmetric, first, last, speed,
    theme: document.documentElement.dataset.theme === "dark" ? "dark" : "light",
    width: Math.max(LEAST_ROOM_PX, Math.round(width)),
    height: Math.max(LEAST_ROOM_PX, Math.round(height)),
    across: bars || grid || matrix ? null : across,
    title: captions,
    legend: captions,
  }; // prettier-ignore
  const said = Object.entries(look).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `${url.replace("/film?", `/film.${format}/making?`)}&${new URLSearchParams(said.map(([key, value]) => [key, String(value)]))}`;
}

/** The address of the whole view as one file. @param {FilmView} film of the main display */
function pageAddressOf(film) {
  const { url } = film.wantedUrl();
  if (!url) return null;
  const [path, query] = url.split(/\/film\?/);
  const asked = new URLSearchParams(query);
  const { image } = view.get();
  if (image && subject.corpus) {
    asked.set("image", image);
    asked.set("corpus", subject.corpus);
  }
  asked.set("hash", location.hash.slice(1));
  return `${path}/page.html?${asked}`;
}

class SavingDialog {
  /** @type {HTMLSelectElement} */ format;
  /** @type {HTMLInputElement} */ first;
  /** @type {HTMLInputElement} */ last;
  /** @type {HTMLInputElement} */ speed;
  /** @type {HTMLInputElement} */ captions;
  /** @type {HTMLButtonElement} */ submit;
  /** @type {HTMLButtonElement} */ makePage;
  /** @type {HTMLAnchorElement} */ savePage;
  /** @type {HTMLSpanElement} */ pageMessage;
  /** @type {HTMLElement} */ pagePart;
  /** @type {FilmView | null} */ film = null;
  /** @type {AbortController | null} */ work = null;

  constructor() {
    const formats = pageData("film-formats");
    this.buildFields(formats);
    this.form = element("form", { class: "views-form film-saving-form" }, [
      element("label", {}, ["Format", this.format]),
      element("label", {}, ["From step", this.first]),
      element("label", {}, ["To step", this.last]),
      element("label", {}, ["Steps per second", this.speed]),
      element("label", { class: "film-saving-captions" }, [this.captions, "with title, step and colour scale"]),
      this.submit,
    ]);
    this.message = element("p", { class: "views-message", role: "status" });
    this.progress = /** @type {any} */ (
      element("progress", { class: "film-saving-progress", "aria-label": "How much of the film is made", hidden: true })
    );
    this.dialog = element("dialog", { class: "views-dialog film-saving", "aria-label": "Save", "data-own-keys": true }, [
      element("div", { class: "views-head" }, [
        element("h2", { class: "panel-title" }, ["Save film"]),
        button("notice-close", "×", "Close (Escape)", () => this.dialog.close()),
      ]),
      this.form,
      this.progress,
      this.message,
      this.buildPage(),
    ]);
    this.dialog.addEventListener("close", () => this.work && this.work.abort());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.form.addEventListener("input", () => this.describe());
    document.body.append(this.dialog);
  }

  buildFields(formats) {
    this.format = element(
      "select",
      { class: "views-field", name: "format" },
      formats.map(({ name, title }) => element("option", { value: name }, [title])),
    );
    const number = (name, /** @type {any} */ more) =>
      element("input", { class: "views-field", type: "number", name, required: true, ...more });
    this.first = number("first", { min: 0, step: 1 });
    this.last = number("last", { min: 0, step: 1 });
    this.speed = number("speed", { min: 0.1, max: 60, step: 0.1 });
    this.captions = element("input", { type: "checkbox", name: "captions", checked: true });
    this.submit = element("button", { type: "submit", class: "views-button views-primary" }, ["Save film"]);
  }

  /** The whole view as one file, whose size is said before it is saved. */
  buildPage() {
    this.makePage = button("views-button", "Make a page", "Films, image, predictions and the slider in one HTML file", () => this.page());
    this.savePage = element("a", { class: "views-button views-primary film-saving-page", hidden: true }, ["Save page"]);
    this.pageMessage = element("span", { class: "film-saving-size", role: "status" });
    this.pagePart = element("section", {}, [
      element("h2", { class: "panel-title" }, ["The whole view as one file"]),
      element("p", { class: "quiet-text" }, ["Films, image, predictions and the slider, in any browser, without a server."]),
      element("div", { class: "film-saving-row" }, [this.makePage, this.savePage, this.pageMessage]),
    ]);
    return this.pagePart;
  }

  async page() {
    const address = pageAddressOf(/** @type {FilmView} */ (this.film));
    if (!address) return;
    this.makePage.disabled = true;
    write(this.pageMessage, "making it …");
    try {
      const answer = await fetchAnswer(address);
      const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "");
      const blob = await answer.blob();
      this.offer(URL.createObjectURL(blob), name ? name[1] : "view.html", megabytes(blob.size));
    } catch (error) {
      write(this.pageMessage, error.message);
    } finally {
      this.makePage.disabled = false;
    }
  }

  /** @param {string | null} address of the page that was made @param {string} [name] @param {string} [size] */
  offer(address, name = "", size = "") {
    if (this.savePage.href) URL.revokeObjectURL(this.savePage.href);
    this.savePage.hidden = !address;
    if (address) [this.savePage.href, this.savePage.download] = [address, name];
    else this.savePage.removeAttribute("href");
    this.makePage.hidden = Boolean(address);
    write(this.pageMessage, size);
  }

  /** @param {FilmView} film */
  open(film) {
    time.pause();
    this.film = film;
    this.pagePart.hidden = film.side !== MAIN;
    this.offer(null);
    const { steps } = film.film;
    for (const [field, step] of [[this.first, steps[0]], [this.last, steps[steps.length - 1]]]) field.value = String(step); // prettier-ignore
    this.speed.value = String(time.speed);
    this.progress.hidden = true;
    this.describe();
    this.dialog.showModal();
    this.format.focus();
  }

  /** What the file will hold, or why the format cannot be written here. */
  describe() {
    const { refusal } = pageData("film-formats").find(({ name }) => name === this.format.value);
    this.submit.disabled = Boolean(refusal);
    const within = this.film
      ? this.film.film.steps.filter((step) => step >= Number(this.first.value) && step <= Number(this.last.value))
      : [];
    const seconds = within.length / (Number(this.speed.value) || 1);
    write(this.message, refusal || `${counted(within.length, "step")}, ${seconds.toFixed(1)} seconds`);
  }

  async save() {
    const captions = this.captions.checked;
    const address = addressOf(/** @type {FilmView} */ (this.film), {
      format: this.format.value, first: this.first.value, last: this.last.value, speed: this.speed.value, captions,
    }); // prettier-ignore
    if (!address) return;
    this.work = new AbortController();
    this.submit.disabled = true;
    write(this.message, "");
    const slow = setTimeout(() => (this.progress.hidden = false), QUICK_MS);
    try {
      await readLines(address, this.work.signal, (line) => this.hear(line));
    } catch (error) {
      if (error.name !== "AbortError") write(this.message, error.message);
    } finally {
      clearTimeout(slow);
      this.progress.hidden = true;
      this.submit.disabled = false;
      this.work = null;
    }
  }

  /** @param {any} line of /making */
  hear({ progress, file, error }) {
    if (progress) {
      [this.progress.value, this.progress.max] = [progress.done, Math.max(1, progress.of)];
      if (!this.progress.hidden) write(this.message, progress.doing);
    }
    if (error) write(this.message, error.message);
    if (!file) return;
    element("a", { href: mountedAt(file.address), download: file.name }).click();
    write(this.message, `Saved ${file.name}, ${megabytes(file.bytes)}`);
  }
}

/** @type {SavingDialog | null} */
let dialog = null;

/** Open the dialog for a film that is on screen. @param {FilmView} film */
export function saveFilm(film) {
  dialog = dialog || new SavingDialog();
  dialog.open(film);
}
