/**
 * Pinned films: the component PinTray. Layers and units stay in view in a row of small films that follow the slider while another layer
 * is looked at. They stand in the view, so addresses share them: `pins=parameters:conv1,features:conv2:3`, kind, layer, and unit if any.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { button, component, element, write } from "mloscope/base/dom.mjs";
import { counted } from "mloscope/base/numbers.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { FilmView } from "mloscope/films/canvas.mjs";
import { filmKinds } from "mloscope/films/kinds.mjs";
import { MAIN } from "mloscope/films/main_side.mjs";

/** @typedef {{show: string, layer: string, unit: number | null}} Pin */

export const MOST_PINS = 6;
const FIELD = "pins";

const kindNames = () => filmKinds.all().map(({ name }) => name);

/** The pins that a text names; what is none is left out. @param {string} text @returns {Pin[]} */
export const pinsOf = (text) =>
  text
    .split(",")
    .filter(Boolean)
    .flatMap((entry) => {
      const [show, layer, unit = ""] = entry.split(":");
      const isPin = kindNames().includes(show) && layer && /^\d{0,7}$/.test(unit);
      return isPin ? [{ show, layer: decoded(layer), unit: unit === "" ? null : Number(unit) }] : [];
    })
    .slice(0, MOST_PINS);

/** @param {Pin[]} pins @returns {string} what pinsOf reads back */
export const textOf = (pins) =>
  pins
    .map(({ show, layer, unit }) => [show, layer.replace(/[%,:]/g, encodeURIComponent), unit].filter((part) => part !== null).join(":"))
    .join(",");

function decoded(layer) {
  try {
    return decodeURIComponent(layer);
  } catch {
    return layer;
  }
}

const pinned = () => pinsOf(view.get()[FIELD]);
const isSame = (a, b) => textOf([a]) === textOf([b]);
const remain = (pins) => view.set({ [FIELD]: textOf(pins) });

/** What a pinned film shows: its own layer, all else as the main films do. @param {Pin} pin */
const sideOf = ({ show, layer, unit }) => ({
  ...MAIN,
  view: () => {
    const now = view.get();
    const isSelected = now.layer === layer; // its array and the units are the selected layer's
    return { ...now, layer, units: unit === null ? "" : String(unit), channels: "", parameter: isSelected ? now.parameter : "" };
  },
  isShown: () => true,
  zoom: () => "fit",
  selected: (header) => (view.get().layer === layer ? header.units.indexOf(view.get().unit) : -1),
  select: (header, place) => view.set({ layer, unit: header.units[place] }),
  lead: () => [unit === null ? layer : `${layer} unit ${unit}`, filmKinds.inWords(filmKinds.kindOf(show))],
});

/** The page about a pinned unit. @param {Pin} pin */
function openUnit({ layer, unit }) {
  view.set({ layer, unit });
  view.visit({ path: mountedAt("/unit") });
}

/** One pinned film. */
class Card {
  /** @param {Pin} pin */
  constructor(pin) {
    const name = `${pin.layer}${pin.unit === null ? "" : ` unit ${pin.unit}`}`;
    const place = element("div", { class: "film" });
    this.root = element("li", { class: "pin", "data-pin": textOf([pin]) }, [
      place,
      button("pin-button", "go to", `Select ${name}`, () =>
        view.set({ layer: pin.layer, ...(pin.unit === null ? {} : { unit: pin.unit }) }),
      ),
      ...(pin.unit === null ? [] : [button("pin-button", "unit page", `Open the page of ${name}`, () => openUnit(pin))]),
      button("pin-button", "×", `Unpin ${name}`, () => remain(pinned().filter((other) => !isSame(other, pin)))),
    ]);
    this.film = new FilmView(place, pin.show, sideOf(pin));
  }

  destroy() {
    this.film.destroy();
    this.root.remove();
  }
}

class Tray {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    this.layer = button("pin-button", "Pin", "Keep the selected layer in view, as it is drawn now", () => this.pin(null));
    this.unit = button("pin-button", "Pin", "Keep the selected unit in view, as it is drawn now", () => this.pin(view.get().unit));
    this.said = element("span", { class: "pins-said", role: "status" });
    this.row = element("ul", { class: "pins-row", "aria-label": "Pinned films" });
    root.append(element("div", { class: "pins-tools" }, [this.layer, this.unit, this.said]), this.row);
    this.undo = [view.subscribe(() => this.show()), onOpen(() => this.show())];
    this.show();
  }

  destroy() {
    for (const undo of this.undo) undo();
    for (const card of this.cards.values()) card.destroy();
    this.root.replaceChildren();
  }

  /** Pin the selected layer, or a unit of it, once for each kind of film that is drawn. */
  pin(unit) {
    const { layer, mode } = view.get();
    const kinds = kindNames().filter((name) => mode === name || (mode === "both" && ["parameters", "features"].includes(name)));
    const known = pinned();
    const more = kinds.map((show) => ({ show, layer, unit })).filter((pin) => !known.some((other) => isSame(other, pin)));
    remain([...known, ...more].slice(0, MOST_PINS));
  }

  show() {
    const { layer, unit } = view.get();
    const all = pinned();
    const isFull = all.length >= MOST_PINS;
    write(this.layer, `Pin ${layer}`);
    write(this.unit, `Pin unit ${unit}`);
    this.layer.disabled = this.unit.disabled = !layer || isFull;
    const names = subject ? subject.layers.map(({ name }) => name) : [];
    const wanted = new Map(all.filter((pin) => names.includes(pin.layer)).map((pin) => [textOf([pin]), pin]));
    const strange = subject ? view.get()[FIELD].split(",").filter(Boolean).length - wanted.size : 0;
    write(this.said, inWords(all.length, strange));
    for (const [text, card] of this.cards) {
      if (wanted.has(text)) continue;
      card.destroy();
      this.cards.delete(text);
    }
    for (const [text, pin] of wanted) {
      if (this.cards.has(text)) continue;
      const card = new Card(pin);
      this.cards.set(text, card);
      this.row.append(card.root);
    }
    this.row.hidden = !this.cards.size;
  }
}

/** How many there are, and how many of the address are no film of this run. */
function inWords(count, strange) {
  const left = strange ? `${counted(strange, "pin")} of the address ${strange === 1 ? "is" : "are"} of no layer here` : "";
  const full = count >= MOST_PINS ? "; unpin one to pin another" : "";
  return [count ? `${count} of ${MOST_PINS} pinned${full}` : "", left].filter(Boolean).join("; ");
}

/** The React component behind components/browser_parts.py. */
export const PinTray = component("pins", Tray);
