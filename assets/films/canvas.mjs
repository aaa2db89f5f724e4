/**
 * A film on a canvas: the component FilmCanvas. Each shows the selected layer as one kind of film.
 *
 *     subject + view ──url──► films ──frame(step)──► filmDraw ──► canvas
 *                     time bus ─────step──────────┘    every animation frame, without a request
 *
 * The canvas shows the wanted step or says that it does not: data-state is ready, pending or missing, and data-step is the
 * step whose pixels are on it (absent while pending). What the pointer and the keys do stands in assets/films/pointer.mjs.
 */
import { api } from "mloscope/base/addresses.mjs";
import { context2d, pixel, rgbOf } from "mloscope/base/canvas.mjs";
import { button, component, element, oncePerFrame, token, write } from "mloscope/base/dom.mjs";
import { extents, extentsOfMaps } from "mloscope/base/layers.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { namesOfUnits, onOpen } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { arrangement } from "mloscope/films/arrangement.mjs";
import { filmBars } from "mloscope/films/bars.mjs";
import { colours } from "mloscope/films/colour_tables.mjs";
import { mainCompany } from "mloscope/films/company.mjs";
import { filmDraw } from "mloscope/films/draw.mjs";
import { filmFigures } from "mloscope/films/figures.mjs";
import { filmKinds } from "mloscope/films/kinds.mjs";
import { filmLegend } from "mloscope/films/legend.mjs";
import { MAIN } from "mloscope/films/main_side.mjs";
import { filmPointer } from "mloscope/films/pointer.mjs";
import { saveFilm } from "mloscope/films/saving.mjs";
import { within } from "mloscope/films/selections.mjs";
import { filmSpan } from "mloscope/films/span.mjs";
import { TileLabels } from "mloscope/films/tile_labels.mjs";
import { filmTitle } from "mloscope/films/title.mjs";

export class FilmView {
  /** @type {any} */ destroyed;
  /** @type {HTMLSpanElement} */ lead;
  /** @type {HTMLSpanElement} */ moment;
  /** @type {HTMLSpanElement} */ title;
  /** @type {HTMLSpanElement} */ status;
  /** @type {HTMLSpanElement} */ zoomPlace;
  /** @type {HTMLCanvasElement} */ canvas;
  /** @type {any} */ context;
  /** @type {HTMLDivElement} */ plate;
  /** @type {TileLabels} */ labels;
  /** @type {HTMLButtonElement} */ sorting;
  /** @type {HTMLButtonElement} */ saving;
  /** @type {HTMLDivElement} */ sheet;
  /** @type {HTMLDivElement} */ stage;
  /** @type {HTMLParagraphElement} */ message;
  /** @type {HTMLDivElement} */ legendPlace;
  /** @type {any} */ shown;
  /** @type {any} */ image;
  /** @type {any} */ pixels;
  /** @type {any} */ blank;

  /**
   * @param {HTMLElement} root
   * @param {string} show name of a kind of film
   * @param {any} [side] what is looked at, see MAIN; assets/compare/sides.mjs has others
   */
  constructor(root, show, side = MAIN) {
    this.root = root;
    this.show = show;
    this.side = side;
    this.company = null; // films that are looked at together with this one: see company.mjs; and refreshed(film), where that matters
    this.url = null;
    this.film = null;
    this.layout = null;
    this.frame = null; // what is on the canvas; null where nothing is
    this.empty = null; // why there is nothing to ask for
    /** Everything but a step's change waits for the next animation frame, and comes together there. */
    this.later = oncePerFrame(() => this.destroyed || this.refresh());
    this.build();
    this.legend = new filmLegend.Legend(this.legendPlace);
    this.pointer = new filmPointer.Pointer(this);
    this.resizes = new ResizeObserver(() => this.later());
    this.resizes.observe(this.stage);
    this.themes = new MutationObserver(() => this.later());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
    this.undo = [
      time.subscribe(() => this.draw()),
      view.subscribe(() => this.later()),
      onOpen((subject, isNew) => {
        if (isNew) this.leave();
        this.later();
      }),
      time.addGate(
        (index) => this.gate(index),
        () => this.waitingFor(),
      ),
      () => this.resizes.disconnect(),
      () => this.themes.disconnect(),
      () => this.leave(),
    ];
    this.later();
  }

  get kind() {
    return filmKinds.kindOf(this.show);
  }

  /** Screen pixels for each value, or "fit". */
  get zoom() {
    return this.side.zoom ? this.side.zoom() : view.get().zoom;
  }

  destroy() {
    this.later.cancel();
    this.destroyed = true;
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  build() {
    this.lead = element("span", { class: "film-lead" }); // a side's name and run
    this.moment = element("span", { class: "film-moment" });
    this.title = element("span", { class: "film-title" });
    this.status = element("span", { class: "film-status", role: "status" });
    this.zoomPlace = element("span", { class: "film-zoom" });
    this.sorting = button("film-button", "by value", "Let the greatest value stand first, or units in their order", () =>
      view.set({ bars: isSorted() ? "number" : "value" }, { history: "replace" }),
    );
    this.saving = button("film-button film-save", "Save", "Save as MP4, GIF or PNG frames, as it is shown", () => saveFilm(this));
    this.canvas = element("canvas", { class: "film-canvas", "data-state": "pending" });
    this.context = context2d(this.canvas);
    this.plate = element("div", { class: "film-plate" }, [this.canvas]);
    this.labels = new TileLabels();
    this.plate.append(this.labels.over);
    this.sheet = element("div", { class: "film-sheet" }, [this.labels.corner, this.labels.columns, this.labels.rows, this.plate]);
    this.stage = element("div", { class: "film-stage", tabindex: 0, role: "application", "data-own-keys": true }, [this.sheet]);
    this.message = element("p", { class: "film-message", role: "status", hidden: true });
    this.legendPlace = element("div", { class: "film-legend" });
    this.root.append(
      element("div", { class: "film-head" }, [this.lead, this.moment, this.title, this.status, this.sorting, this.zoomPlace, this.saving]),
      element("div", { class: "film-box" }, [this.stage, this.message]),
      this.legendPlace,
    );
    this.root.dataset.show = this.show;
  }

  /** The address of the film that subject and view ask for now; null, and `empty` says why, where there is none to ask for. */
  wantedUrl() {
    const subject = this.side.subject();
    const view = this.side.view();
    const layer = subject && subject.layers.find((candidate) => candidate.name === view.layer);
    const empty = this.reasonForNothing(subject, view, layer);
    if (empty !== null) return { url: null, empty };
    const kind = this.kind;
    const ofParameter = filmKinds.offers(kind.name, "parameter");
    const total = ofParameter ? extents(layer, view.parameter) : extentsOfMaps(layer);
    const asked = { show: kind.name, units: kind.of_units ? within(view.units, total.unit).text : null };
    for (const option of kind.options) {
      const value = filmKinds.valueOf(option, view);
      asked[option.name] = value === option.default ? null : value;
    }
    if (ofParameter) {
      if (!layer.parameters.some((parameter) => parameter.name === view.parameter)) asked.parameter = null;
      asked.channels = within(view.channels, total.channel).text;
    }
    if (kind.needs_image) {
      asked.image = view.image;
      asked.corpus = subject.corpus;
    }
    return { url: api(["runs", subject.run, "layers", layer.name, "film"], asked), empty };
  }

  reasonForNothing(subject, view, layer) {
    if (!subject) return "";
    if (!subject.layers.length && subject.problems && subject.problems.length) return subject.problems[0];
    if (!layer) return "Select a layer of the network.";
    const kind = this.kind;
    if (filmKinds.offers(kind.name, "parameter") && !layer.parameters.length)
      return `${layer.name} (${layer.kind}) has no parameters; what it does shows in its feature maps.`;
    if (kind.needs_evaluation) {
      if (!subject.evaluation.possible) return subject.evaluation.message || "This run's network cannot be evaluated.";
      if (layer.problem) return layer.problem;
    }
    if (!kind.needs_image) return null;
    const words = filmKinds.inWords(kind);
    if (!subject.corpus) return `No images are connected. Start mloscope with --images PATH to see ${words}.`;
    return view.image ? null : `Select an image to see its ${words}.`;
  }

  refresh() {
    this.shown = this.side.isShown(this);
    this.root.hidden = !this.shown;
    const wanted = this.shown ? this.side.wanted(this) : { key: null, empty: null };
    this.empty = wanted.empty;
    if (wanted.key !== this.url) {
      this.leave();
      this.url = wanted.key;
      if (wanted.key) {
        this.film = wanted.open();
        this.film.subscribe(() => this.later());
      }
    }
    this.arrange();
    this.draw();
    if (this.company && this.company.refreshed) this.company.refreshed(this);
  }

  leave() {
    if (this.film) this.film.close();
    this.film = null;
    this.url = null;
    this.layout = null;
    this.frame = null;
  }

  /** Lay the tiles out for the room there is. */
  arrange() {
    const header = this.film && this.film.header;
    this.stage.classList.toggle("film-stage-empty", !header);
    this.legendPlace.hidden = !header;
    if (this.side.lead) write(this.lead, this.side.lead(this).filter(Boolean).join(" · "));
    this.title.textContent = header ? filmTitle(header, filmKinds.inWords(this.kind)) : "";
    this.title.title = this.title.textContent;
    this.sorting.hidden = !header || !filmBars.fits(header) || Boolean(this.side.across);
    this.saving.hidden = !header || Boolean(this.side.isMade);
    this.zoomPlace.hidden = Boolean(header) && filmBars.fits(header);
    this.sorting.setAttribute("aria-pressed", String(isSorted()));
    if (!header || !this.shown) return;
    const room = this.side.room ? this.side.room(this) : this.stage.getBoundingClientRect();
    const across = this.side.across ? this.side.across(this) : null;
    const [gapColour, ground] = ["--surface", "--surface-sunken"].map((name) => token(name, this.root));
    const names = this.namesOf(header);
    const { zoom } = this;
    const { width, height } = room;
    const key = JSON.stringify([this.url, names, width, height, across, zoom, gapColour, devicePixelRatio]);
    if (this.layout && this.layout.key === key) return;
    const found = arrangement(header, room, { zoom, names, across, devicePixels: devicePixelRatio });
    this.take({ ...found, key, ground: pixelOf(ground, this.context) }, pixelOf(gapColour, this.context));
    this.labels.show(header, this.layout, names);
    this.stage.setAttribute(
      "aria-label",
      `${[this.lead, this.title]
        .map((node) => node.textContent)
        .join(" ")
        .trim()}. Arrow keys move between units, Enter selects, + and − zoom.`,
    );
    this.pointer.arranged();
  }

  /** A layout: the canvas and its elements become as large as it says. */
  take(layout, gapPixel) {
    this.layout = layout;
    this.canvas.width = layout.width;
    this.canvas.height = layout.height;
    this.plate.style.width = `${layout.width * layout.scale}px`;
    this.plate.style.height = `${layout.height * layout.scale}px`;
    this.stage.classList.toggle("film-stage-fit", !(Number(this.zoom) > 0) && !layout.bars);
    this.sheet.dataset.labels = layout.labels;
    this.sheet.style.setProperty("--row-header", `${layout.rowHeader || 0}px`);
    this.image = this.context.createImageData(layout.width, layout.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.pixels.fill(gapPixel);
    const values = layout.units * layout.channels * layout.rows * layout.columns * layout.components;
    // Code 0 everywhere: nothing is a number, so everything is hatched.
    this.blank = { codes: new Uint8Array(values), unitRanges: new Float32Array(layout.units * 2) };
    const { across, down, magnifyX, magnifyY, gap, head, stepX, stepY, rows, columns, bars = false } = layout;
    this.canvas.dataset.geometry = JSON.stringify({ across, down, magnifyX, magnifyY, gap, head, stepX, stepY, rows, columns, bars });
  }

  /** What each unit is called: its number, and the class that it stands for where the layer gives the classes. */
  namesOf(header) {
    const names = namesOfUnits(this.side.subject(), header.layer, header.unit_total);
    return header.units.map((unit) => (names && names[unit] !== String(unit) ? `${unit} ${names[unit]}` : String(unit)));
  }

  /** Draw the step that is wanted now, or say that it is not here. */
  draw() {
    const step = this.side.step();
    const absent = step === null && this.side.absent ? this.side.absent() : null;
    const reason = absent || (this.film && step !== null ? this.film.missing(step) : null);
    const frame = this.layout && step !== null ? this.film.frame(step) : null;
    const fits = frame && frame.codes.length === this.blank.codes.length;
    this.frame = fits ? frame : null;
    const state = fits ? "ready" : this.empty !== null || reason || (this.film && this.film.error) ? "missing" : "pending";
    if (this.layout) {
      const scale = this.scale();
      const shown = this.frame || this.blank;
      if (this.layout.bars) this.order();
      const draw = shown.draw || filmDraw.draw; // a frame made of two knows how
      draw(this.pixels, this.layout, shown, scale.pixels, scale.endsOf);
      this.context.putImageData(this.image, 0, 0);
      this.legend.show(scale.legend);
    }
    if (this.side.moment) write(this.moment, this.side.moment());
    this.tell(state, step, reason);
    this.pointer.drawn();
  }

  /** Bars by value, where that is wanted; films that are compared stand in one order. */
  order() {
    const { layout, frame } = this;
    const isByValue = isSorted() && !this.side.across;
    if (isByValue ? !frame || !filmBars.sort(layout, filmBars.valueIn(frame)) : !layout.order) return;
    if (!isByValue) layout.order = layout.places = null;
    this.labels.move(layout);
    this.pointer.moved();
  }

  /** The colour scale: table, ends for each unit, and what the legend says of them. */
  scale() {
    const viewNow = view.get();
    const asked = colours.names.includes(viewNow.colour) ? viewNow.colour : "auto";
    const wished = viewNow.symmetric === "yes" || viewNow.symmetric === true;
    const refused = viewNow.symmetric === "no" || viewNow.symmetric === false;
    const spans = this.side.spans(this);
    const centred = Boolean(spans.centred); // a difference: zero is in the middle, and has its own colour
    const symmetric = centred || wished || (!refused && (this.kind.scale === "diverging" || colours.isDiverging(asked)));
    const coloured = this.layout.components === 3 && !centred;
    const fitting = centred && !colours.isDiverging(asked) ? "auto" : asked;
    const table = coloured ? "grey" : fitting === "auto" ? (symmetric ? "blue-red" : "viridis") : fitting;
    const asFixed = !viewNow.range || viewNow.range === "fixed";
    const rule = asFixed ? (spans.isGrowing ? "step" : "fixed") : viewNow.range;
    const ofUnit = (unit) => filmDraw.ends(spans.unit(unit), symmetric);
    const selected = this.side.selected(this.film.header);
    const ofSide = this.side.legend(this);
    const exploded = filmSpan.explosions(spans.exploded());
    const ofLayer = () => filmDraw.ends(spans[exploded.times ? "step" : rule](), symmetric);
    const ends = rule === "unit" ? (selected < 0 ? null : ofUnit(selected)) : ofLayer();
    return {
      pixels: colours.pixels(table),
      endsOf: rule === "unit" ? ofUnit : () => ends,
      legend: {
        table, coloured, rule, symmetric, unit: viewNow.unit, soFar: this.soFar(), known: this.frame !== null, ends,
        ...exploded, filled: rule === "fixed" && ends && !centred ? filmSpan.shareOf(spans.step(), ends) : 1,
        ...ofSide, more: [...filmFigures.sentences(this.frame, this.film.header, selected), ...(ofSide.more || [])],
      }, // prettier-ignore
    };
  }

  /** While frames are still to come, the range over time may still grow. */
  soFar() {
    const { loaded, total, ranged } = this.film;
    return loaded < total ? `over ${ranged} of ${total} steps so far` : "";
  }

  tell(state, step, reason) {
    for (const node of [this.canvas, this.root]) {
      if (node.dataset.state !== state) node.dataset.state = state;
      if (state === "pending" || step === null || this.empty !== null) node.removeAttribute("data-step");
      else if (node.dataset.step !== String(step)) node.dataset.step = step;
    }
    const error = this.film && this.film.error;
    const absent = reason && step !== null ? `Step ${grouped(step)} is missing: ${reason}` : reason || error;
    const doing = (this.film && this.film.progress && this.film.progress.doing) || "loading";
    write(this.message, state === "ready" ? "" : state === "missing" ? (this.empty ?? absent) : doing);
    this.message.hidden = !this.message.textContent;
    const { loaded = 0, total = 0 } = this.film || {};
    const coming = total && loaded < total ? `${loaded} of ${total} steps ${this.film.counted || "loaded"}` : "";
    write(this.status, [coming, state === "ready" ? error : ""].filter(Boolean).join(" · "));
    this.status.classList.toggle("film-trouble", Boolean(error));
  }

  gate(index) {
    if (!this.film) return true;
    const step = this.side.stepAt(index);
    if (step === null) return "missing";
    if (this.film.missing(step) || this.film.error) return "missing";
    return Boolean(this.film.frame(step));
  }

  waitingFor() {
    return this.film && this.film.total ? `waiting for frames: ${this.film.loaded} of ${this.film.total} loaded` : "waiting for frames";
  }
}

const isSorted = () => view.get().bars === "value";

/** A CSS colour as one opaque pixel. */
function pixelOf(colour, context) {
  context.fillStyle = "#ffffff";
  context.fillStyle = colour || "#ffffff";
  return pixel(context.fillStyle.startsWith("#") ? rgbOf(context.fillStyle) : [255, 255, 255]);
}

class KindOfFilm extends FilmView {
  constructor(root, { show }) {
    super(root, show || filmKinds.all()[0].name);
    this.leaveCompany = mainCompany.join(this);
  }

  destroy() {
    this.leaveCompany();
    super.destroy();
  }
}

/**
 * The React component behind components/browser_parts.py.
 * @param {{id: string, show: string}} props show: name of a kind of film
 */
export const FilmCanvas = component("film", KindOfFilm);
