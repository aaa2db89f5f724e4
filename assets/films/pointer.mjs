/**
 * Pointer, keys, zoom and outlines on a film: everything that is over the canvas, not in it. `filmPointer`.
 *
 * Where the pointer is follows by arithmetic from the layout; what is under it is read off the frame's codes, so the number
 * under a resting pointer changes as time moves.
 */
import { button, element, placeBeside } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { reading, rounded } from "mloscope/base/numbers.mjs";
import { view } from "mloscope/base/view.mjs";
import { filmBars } from "mloscope/films/bars.mjs";
import { filmBytes } from "mloscope/films/bytes.mjs";
import { filmDraw } from "mloscope/films/draw.mjs";
import { filmFigures } from "mloscope/films/figures.mjs";
import { ranking } from "mloscope/films/ranking.mjs";

const DRAG_PX = 4; // less is a click
const CHANNEL_WORDS = ["red", "green", "blue"];

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const filmKeys = keyTable("Film", [
  { keys: Object.keys(ARROWS), does: "the unit beside", act: (pointer, { key }) => pointer.step(ARROWS[key][0], ARROWS[key][1]) },
  {
    keys: ["Home", "End"],
    does: "first or last unit",
    act: (pointer, { key }) => pointer.showCursor(key === "Home" ? { unit: 0, channel: 0 } : pointer.lastPlace()),
  },
  { keys: ["Enter"], does: "select the unit", act: (pointer) => pointer.select(pointer.cursor ? pointer.cursor.unit : 0) },
  { keys: ["Escape"], does: "leave the units", act: (pointer) => pointer.showCursor(null) },
  { keys: ["+", "=", "-"], does: "zoom in or out", act: (pointer, { key }) => pointer.zoom(key === "-" ? -1 : 1) },
  { keys: ["Ctrl+wheel"], does: "the same, where the pointer is", act: (pointer, event) => pointer.wheel(event) },
  { keys: ["0"], does: "fit the film into its panel", act: () => view.set({ zoom: "fit" }, { history: "replace" }) },
]);

class Pointer {
  /** @type {any} */ shownUnit;
  /** @type {number | undefined} */ selected;
  /** @type {any} */ zoomReadout;

  /** @param {any} film the FilmView of assets/films/canvas.mjs */
  constructor(film) {
    this.film = film;
    this.over = null; // {unit, channel, row, column} under the pointer, as positions in the film
    this.cursor = null; // {unit, channel} of the keyboard
    /** @type {any} */
    this.hand = null; // where the pointer is on screen
    this.dragged = false; // whether it has moved the sheet since it went down
    this.marks = {};
    for (const name of ["hover", "cursor", "selected"]) {
      this.marks[name] = element("div", { class: `film-mark film-mark-${name}`, "aria-hidden": "true", hidden: true });
    }
    film.plate.append(...Object.values(this.marks));
    this.tip = element("div", { class: "film-tip", "aria-hidden": "true", hidden: true });
    this.live = element("p", { class: "film-live", "aria-live": "polite" });
    film.root.append(this.tip, this.live);
    this.buildZoom();

    const { stage, plate } = film;
    plate.addEventListener("pointermove", (event) => this.move(event));
    plate.addEventListener("pointerleave", () => this.leave());
    plate.addEventListener("click", () => this.over && !this.dragged && this.select(this.over.unit));
    stage.addEventListener("pointerdown", (event) => this.take(event));
    stage.addEventListener("keydown", (event) => this.film.layout && filmKeys(this, event));
    stage.addEventListener("blur", () => this.showCursor(null));
    stage.addEventListener("wheel", (event) => this.film.layout && filmKeys(this, event), { passive: false });
    stage.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  // ---------------------------------------------------------------------------------------------------- pointer

  move(event) {
    const { layout, plate } = this.film;
    if (!layout) return;
    const box = plate.getBoundingClientRect();
    const x = (event.clientX - box.left) / layout.scale;
    const y = (event.clientY - box.top) / layout.scale;
    this.over = filmDraw.at(layout, x, y);
    this.hand = { x: event.clientX, y: event.clientY };
    this.showTip();
  }

  leave() {
    this.over = null;
    this.showTip();
  }

  /** A mouse that drags moves the sheet; it selects nothing. A finger scrolls by itself. */
  take(down) {
    this.dragged = false;
    if (down.button !== 0 || down.pointerType === "touch") return;
    const { stage } = this.film;
    const from = { left: stage.scrollLeft, top: stage.scrollTop };
    const drag = (event) => {
      const [across, by] = [event.clientX - down.clientX, event.clientY - down.clientY];
      if (!this.dragged && Math.hypot(across, by) < DRAG_PX) return;
      this.dragged = true;
      stage.classList.add("film-dragged");
      stage.scrollLeft = from.left - across;
      stage.scrollTop = from.top - by;
    };
    const drop = () => {
      stage.classList.remove("film-dragged");
      window.removeEventListener("pointermove", drag);
      for (const end of ["pointerup", "pointercancel"]) window.removeEventListener(end, drop);
    };
    window.addEventListener("pointermove", drag);
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, drop);
  }

  /** Another film that is looked at together with this one has its pointer over a unit here: `place`, or null. */
  shadow(place) {
    const known = place !== null && this.film.layout && place < this.film.layout.units;
    this.outline("hover", known ? place : null);
  }

  /** What the frame says at a place: readable numbers, one per component. */
  readings({ unit, channel, row, column }) {
    const { frame, layout } = this.film;
    if (!frame) return [];
    const [lo, hi] = frame.unitRanges.subarray(unit * 2, unit * 2 + 2);
    const at = filmDraw.offset(layout, unit, channel) + (row * layout.columns + column) * layout.components;
    if (frame.readings) return frame.readings(at, unit);
    return [...frame.codes.subarray(at, at + layout.components)].map((code) => {
      const { value, error } = filmBytes.value(code, lo, hi);
      return reading(value, error);
    });
  }

  showTip() {
    const { film, over, tip } = this;
    this.outline("hover", over && over.unit);
    if (film.company) film.company.hovered(film, over);
    tip.hidden = !over;
    if (!over) return;
    const { header } = film.film;
    const readings = this.readings(over);
    const where = [`unit ${film.namesOf(header)[over.unit]}`];
    if (header.channel_total > 1 && header.components === 1 && film.layout.grid) where.push(`channel ${header.channels[over.channel]}`);
    if (header.rows > 1) where.push(`row ${over.row}`);
    if (header.columns > 1) where.push(`${film.layout.matrix ? "input" : "column"} ${over.column}`);
    const named = (texts) => (texts.length === 3 ? texts.map((text, place) => `${CHANNEL_WORDS[place]} ${text}`) : texts);
    const values = film.company ? film.company.lines(film, over, named) : named(readings);
    tip.replaceChildren(
      ...(values.length ? values : [film.message.textContent || "no value"]).map((text) => element("b", {}, [text])),
      element("span", {}, [where.join(" · ")]),
      element("span", {}, [filmFigures.ofUnit(film.frame, over.unit).join(" · ")]),
      element("span", {}, [ranking.scoreOf(header.units[over.unit])]),
    );
    placeBeside(tip, this.hand);
  }

  /** A frame was drawn: what is under the pointer may be another number now. */
  drawn() {
    if (this.over && this.film.layout) this.showTip();
    this.showSelected();
  }

  /** The units stand in other places. */
  moved() {
    this.shownUnit = undefined;
    this.showSelected();
  }

  /** The tiles were laid out again. */
  arranged() {
    this.leave();
    this.showCursor(null);
    this.shownUnit = undefined;
    this.showSelected();
    this.showZoom();
  }

  // --------------------------------------------------------------------------------------------------- outlines

  outline(name, unit) {
    const mark = this.marks[name];
    const { layout } = this.film;
    const hidden = unit === null || unit === undefined || unit < 0 || !layout;
    if (mark.hidden !== hidden) mark.hidden = hidden;
    if (hidden) return;
    const place = filmDraw.place(layout, unit);
    const { scale } = layout;
    Object.assign(mark.style, {
      transform: `translate(${place.x * scale}px, ${place.y * scale}px)`,
      width: `${place.width * scale}px`,
      height: `${place.height * scale}px`,
    });
  }

  /** What lies in the middle of what is seen of the sheet, or beside it where the middle is a gap; null where nothing does. */
  inTheMiddle() {
    const { layout, stage, plate } = this.film;
    if (!layout) return null;
    const [seen, box] = [stage.getBoundingClientRect(), plate.getBoundingClientRect()];
    const x = (seen.left + seen.width / 2 - box.left) / layout.scale;
    const y = (seen.top + seen.height / 2 - box.top) / layout.scale;
    const beside = [[0, 0], [0, layout.stepY / 2], [layout.stepX / 2, 0], [-layout.stepX / 2, 0]]; // prettier-ignore
    return beside.map(([right, below]) => filmDraw.at(layout, x + right, y + below)).find(Boolean) || null;
  }

  showSelected() {
    const { film } = this.film;
    const place = film && film.header && this.film.layout ? this.film.side.selected(film.header) : -1;
    const key = `${place} ${this.film.layout ? this.film.layout.key : ""}`;
    if (key === this.shownUnit) return;
    const isOther = this.selected !== undefined && this.selected !== place;
    this.selected = place;
    this.shownUnit = key;
    this.outline("selected", place);
    if (isOther && place >= 0) this.reveal({ unit: place, channel: 0 }); // it may have been selected elsewhere
  }

  select(place) {
    this.film.side.select(this.film.film.header, place);
  }

  scrolled() {
    this.leave();
    if (this.film.company) this.film.company.scrolled(this.film);
  }

  // ------------------------------------------------------------------------------------------------------- keys

  lastPlace() {
    const { units, channels } = this.film.layout;
    return { unit: units - 1, channel: channels - 1 };
  }

  step(across, down) {
    const { layout, film } = this.film;
    if (!this.cursor) {
      const selected = this.film.side.selected(film.header);
      this.showCursor({ unit: Math.max(0, selected), channel: 0 });
      return;
    }
    let { unit, channel } = this.cursor;
    if (layout.bars) {
      unit = filmBars.next(layout, unit, across, down);
    } else if (layout.grid) {
      unit = Math.min(Math.max(unit + down, 0), layout.units - 1);
      channel = Math.min(Math.max(channel + across, 0), layout.channels - 1);
    } else {
      const next = unit + across + down * layout.across;
      if (next >= 0 && next < layout.units) unit = next;
    }
    this.showCursor({ unit, channel });
  }

  showCursor(cursor) {
    this.cursor = cursor;
    this.outline("cursor", cursor && cursor.unit);
    if (!cursor) return;
    const { film, frame, layout } = this.film;
    const said = [`unit ${film.header.units[cursor.unit]}`];
    if (layout.grid) said.push(`channel ${film.header.channels[cursor.channel]}`);
    if (frame) {
      const [lo, hi] = frame.unitRanges.subarray(cursor.unit * 2, cursor.unit * 2 + 2);
      said.push(Number.isNaN(lo) ? "no finite value" : lo === hi ? `value ${rounded(lo)}` : `values ${rounded(lo)} to ${rounded(hi)}`);
      said.push(...filmFigures.ofUnit(frame, cursor.unit));
    }
    this.live.textContent = said.join(", ");
    this.reveal(cursor);
  }

  /** Scroll the cursor's tile into sight where the sheet is larger than its box. */
  reveal({ unit, channel }) {
    const { layout, stage } = this.film;
    const place = filmDraw.place(layout, unit);
    const x = (place.x + (layout.grid ? channel * layout.stepX : 0)) * layout.scale;
    const y = (place.y - layout.head) * layout.scale;
    const width = layout.stepX * layout.scale;
    const height = layout.stepY * layout.scale;
    if (x < stage.scrollLeft || x + width > stage.scrollLeft + stage.clientWidth) stage.scrollLeft = x - stage.clientWidth / 2;
    if (y < stage.scrollTop || y + height > stage.scrollTop + stage.clientHeight) stage.scrollTop = y - stage.clientHeight / 2;
  }

  // ------------------------------------------------------------------------------------------------------- zoom

  buildZoom() {
    this.zoomReadout = button("film-button", "fit", "Fit the film into its box (0)", () =>
      view.set({ zoom: "fit" }, { history: "replace" }),
    );
    this.zoomReadout.classList.add("film-zoom-readout");
    this.film.zoomPlace.append(
      button("film-button", "−", "Smaller (− or Ctrl and wheel)", () => this.zoom(-1)),
      this.zoomReadout,
      button("film-button", "+", "Larger (+ or Ctrl and wheel)", () => this.zoom(1)),
    );
  }

  /** One step larger or smaller than what is on screen now, about a point of the stage. */
  zoom(direction, /** @type {{x: number, y: number} | null} */ about = null) {
    const { layout, stage } = this.film;
    if (!layout) return;
    const now = layout.scale * Math.min(layout.magnifyX, layout.magnifyY);
    const sizes = view
      .choices("zoom")
      .map(([size]) => Number(size))
      .filter(Boolean); // without "fit"
    const next = direction > 0 ? sizes.find((size) => size > now * 1.01) : sizes.reverse().find((size) => size < now * 0.99);
    if (!next) return;
    const centre = about || { x: stage.clientWidth / 2, y: stage.clientHeight / 2 };
    const share = { x: (stage.scrollLeft + centre.x) / stage.scrollWidth, y: (stage.scrollTop + centre.y) / stage.scrollHeight };
    view.set({ zoom: String(next) }, { history: "replace" });
    requestAnimationFrame(() => {
      stage.scrollLeft = share.x * stage.scrollWidth - centre.x;
      stage.scrollTop = share.y * stage.scrollHeight - centre.y;
    });
  }

  showZoom() {
    const { zoom } = view.get();
    this.zoomReadout.textContent = Number(zoom) > 0 ? `${zoom}×` : "fit";
  }

  wheel(event) {
    const box = this.film.stage.getBoundingClientRect();
    this.zoom(event.deltaY < 0 ? 1 : -1, { x: event.clientX - box.left, y: event.clientY - box.top });
  }
}

export const filmPointer = { Pointer };
