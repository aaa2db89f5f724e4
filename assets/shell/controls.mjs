/**
 * The dashboard's clientside callbacks: Dash controls ⇄ the view (assets/base/view.mjs) and the subject (assets/base/subject.mjs).
 *
 *     Store "subject" ──openSubject──► openSubject         corpus select ──goToCorpus──► another address
 *     Store "view" ──showView──► the controls' values      a control ──useControl──► view.set
 *
 * app/web/dash/shell.py and app/web/dash/pages/main_display.py say which components these are.
 */
import { COPIED_MS, copied } from "mloscope/base/clipboard.mjs";
import { api } from "mloscope/base/addresses.mjs";
import { write } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { kept } from "mloscope/base/kept.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { extents } from "mloscope/base/layers.mjs";
import { shortened } from "mloscope/base/names.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { openSubject, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { filmKinds } from "mloscope/films/kinds.mjs";
import { ranking } from "mloscope/films/ranking.mjs";
import { ignoredInWords, within } from "mloscope/films/selections.mjs";
import { windowTitle } from "mloscope/shell/title.mjs";
import { askForConnections } from "mloscope/shell/workspace.mjs";

const clientside = (window.dash_clientside = window.dash_clientside || {});
const nothing = () => clientside.no_update;
const triggered = () => clientside.callback_context.triggered_id;

const LONGEST_NAME = 28;
const RETRY_SUBJECT_MS = 1500;
const OF_ALL_KINDS = ["mode", "parameter", "layout", "colour", "range", "symmetric", "units", "channels"];
/** The controls by their ids, as in main_display.py: what of the view each shows, and the option of a kind of film that it is. */
const controls = () => [
  ...OF_ALL_KINDS.map((key) => ({ id: key, key, kind: null, option: null })),
  ...filmKinds
    .all()
    .flatMap((kind) =>
      kind.options
        .filter(({ name }) => !OF_ALL_KINDS.includes(name))
        .map((option) => ({ id: `option-${kind.name}-${option.name}`, key: option.name, kind, option })),
    ),
];
const valuesShown = new WeakMap();

/** The selected layer as the subject describes it. */
function selectedLayer() {
  const { layer } = view.get();
  return subject && subject.layers.find((candidate) => candidate.name === layer);
}

/** What each of the controls was given to show, or has told the view. Empty where the page is new. */
function shownValues() {
  const page = /** @type {HTMLElement} */ (document.getElementById("films"));
  if (!valuesShown.has(page)) valuesShown.set(page, new Map());
  return valuesShown.get(page);
}

/** Whether a user changed a control: it shows a value other than the one it was given. */
function wasUsed(key, value) {
  const shown = shownValues();
  return shown.has(key) && value !== null && value !== undefined && value !== shown.get(key);
}

/** What a control shows of an option: a choice, or the text that differs from the default. */
function shownOf(option, view) {
  const value = filmKinds.valueOf(option, view);
  return option.choices.length || value !== option.default ? value : "";
}

/** How many units and channels the selected layer has, of what is drawn. */
function extentsShown() {
  const layer = selectedLayer();
  return layer ? extents(layer, view.get().parameter) : { unit: 0, channel: 0 };
}

/** What of the selections is not there is said at their fields; `problems` are what is wrong with what was typed. */
function tellSelections(problems = {}) {
  const layer = selectedLayer();
  const total = extentsShown();
  for (const [id, of] of [
    ["units", "unit"],
    ["channels", "channel"],
  ]) {
    const note = document.getElementById(`${id}-note`);
    if (!note || !layer) continue;
    const { ignored } = within(view.get()[id], total[of]);
    write(note, problems[id] || ignoredInWords(layer.name, id, ignored, total[of]));
    note.hidden = !note.textContent;
  }
}

/** The page before or after the numbers shown now, as a selection; what is not a page yet becomes the first. */
function turned(text, total, size, direction) {
  const shown = view.parseUnits(text || `0-${Math.min(size, total) - 1}`);
  const length = Math.max(1, Math.min(shown.length, total));
  const first = direction > 0 ? shown[shown.length - 1] + 1 : shown[0] - length;
  const start = Math.max(0, Math.min(first, Math.max(0, total - 1)));
  if (first < 0 || first >= total) return view.formatUnits(shown);
  const last = Math.min(start + length, total) - 1;
  return `${start}-${last}`;
}

/**
 * While evaluation is not possible for a passing reason, look again until it is or another subject is open: views recover by
 * themselves. The subject is the server's to describe: written here, it could take the place of another that is on its way.
 */
function awaitEvaluation(asked) {
  if (asked.evaluation.possible || !asked.evaluation.passing) return;
  setTimeout(async () => {
    if (asked !== subject) return;
    try {
      const { evaluation } = await fetchJson(api(["runs", asked.run])); // null while the run is gone
      if (evaluation && (evaluation.possible || evaluation.message !== asked.evaluation.message)) askForConnections();
      else awaitEvaluation(asked);
    } catch {
      awaitEvaluation(asked); // the server itself is away; that is said where it matters
    }
  }, RETRY_SUBJECT_MS);
}

clientside.mloscope = {
  /** A subject has come: open it, and fill the select of corpora. */
  openSubject(subject) {
    if (!subject) return [nothing(), nothing(), nothing()];
    for (const sentence of subject.problems || []) notice(sentence);
    openSubject(subject);
    awaitEvaluation(subject);
    document.body.dataset.subject = subject.run ? "open" : "empty";
    const { corpora = {} } = subject.titles || {};
    const choices = subject.corpora.map((name) => ({ label: shortened(corpora[name] || name, LONGEST_NAME), value: name }));
    return [choices, subject.corpus, subject.corpora.length ? {} : { display: "none" }];
  },

  /** Another corpus is another address. */
  goToCorpus(corpus, subject) {
    if (!subject || !subject.run || (corpus || null) === (subject.corpus || null)) return;
    view.visit({ run: subject.run, corpus: corpus || null });
  },

  /** Light or dark: the system's setting until the user chooses. */
  theme(clicks) {
    const root = document.documentElement;
    if (clicks) {
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
      kept.set("mloscope-theme", root.dataset.theme);
      window.dispatchEvent(new Event("mloscope-theme"));
    }
    return root.dataset.theme;
  },

  /** Copy the address; where the clipboard is not available (plain http), show it. */
  async share() {
    const address = window.location.origin + view.address();
    if (!(await copied(address))) {
      notice(`This view: ${address}`);
      return "Share";
    }
    setTimeout(() => clientside.set_props("share", { children: "Share" }), COPIED_MS);
    return "Copied";
  },

  keyMap: (clicks) => Boolean(clicks),

  /** The page that is shown is marked in the top bar: not before it is there, for it may be long in coming, or refused. */
  markPage() {
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll(".nav-link"))) {
      if (link.pathname === window.location.pathname) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    windowTitle.write();
  },

  /**
   * What the controls show is what the view says now; the Store may be behind. A control that already shows it is left
   * alone, and so is one that the user has changed meanwhile: useControl comes next, and has it.
   * Values in the order of Main display's controls.
   */
  showView(subject, stored, ...held) {
    const viewNow = view.get();
    if (!subject || !stored || !viewNow.layer) return Array(held.length + 1).fill(nothing());
    const layer = subject.layers.find((candidate) => candidate.name === viewNow.layer);
    const parameters = layer ? layer.parameters : [];
    const parameter = parameters.find(({ name }) => name === viewNow.parameter) || parameters[0];
    const dense = parameter && parameter.axes.join() === "channel,unit";
    const tool = (id, shown) => /** @type {HTMLElement} */ (document.getElementById(`${id}-tool`)).classList.toggle("tool-absent", !shown);
    const ofParameters = viewNow.mode === "both" || filmKinds.offers(viewNow.mode, "parameter");
    tool("parameter", parameters.length > 1 && ofParameters);
    tool("layout", dense && ofParameters);
    tool("channels", extentsShown().channel > 1 && ofParameters && !(dense && viewNow.layout === "matrix" && extentsShown().channel < 2));
    const ofUnits = viewNow.mode === "both" || filmKinds.kindOf(viewNow.mode).of_units;
    for (const id of ["units", "unit-rule"]) tool(id, ofUnits);
    for (const { id, kind, option } of controls())
      if (kind) tool(id, viewNow.mode === kind.name && filmKinds.isMeant(kind, option, viewNow));
    const films = /** @type {HTMLElement} */ (document.getElementById("films"));
    films.dataset.mode = viewNow.mode;
    films.toggleAttribute("data-no-parameters", !parameters.length);
    films.toggleAttribute("data-no-maps", !subject.corpus || (subject.evaluation || {}).state === "impossible");
    ranking.show();
    tellSelections();
    const wanted = { ...viewNow, parameter: parameter ? parameter.name : null };
    const shown = shownValues();
    const written = controls().map(({ id, key, option }, i) => {
      const value = option ? shownOf(option, viewNow) : wanted[key];
      if (wasUsed(id, held[i]) || (shown.has(id) && value === shown.get(id))) return nothing();
      shown.set(id, value);
      return value;
    });
    return [...written, parameters.map(({ name }) => ({ value: name, label: name }))];
  },

  /** Somebody used controls. */
  useControl(...held) {
    const shown = shownValues();
    const used = {};
    const problems = {};
    controls().forEach(({ id, key, option }, i) => {
      if (!wasUsed(id, held[i])) return;
      try {
        if (key === "units" || key === "channels") view.parseUnits(held[i]);
        used[key] = option && held[i] === option.default ? "" : held[i];
        shown.set(id, held[i]);
      } catch (error) {
        problems[key] = error.message;
        shown.set(id, view.get()[key]);
        clientside.set_props(id, { value: shown.get(id) });
      }
    });
    if (!Object.keys(used).length && !Object.keys(problems).length) return; // a value put back, not one of somebody's
    if ("units" in used) used["units-by"] = "";
    if (Object.keys(used).length) view.set(used);
    tellSelections(problems);
  },

  turnPage() {
    const id = triggered();
    if (!id) return;
    const limits = pageData("limits");
    const direction = id.startsWith("next") ? 1 : -1;
    const viewNow = view.get();
    const total = extentsShown();
    if (id.endsWith("units")) {
      const page = total.channel > 1 ? limits.unitsPerPage : limits.vectorsPerPage;
      view.set({ units: turned(viewNow.units, total.unit, page, direction), "units-by": "" });
    } else {
      view.set({ channels: turned(viewNow.channels, total.channel, limits.channelsPerPage, direction) });
    }
  },

  /** Units that a rule has found: shown, the first of them selected; the select goes back to "by rule …". */
  useChosenUnits(chosen) {
    if (chosen && chosen.problem) notice(chosen.problem);
    if (chosen && chosen.units) ranking.take(chosen);
    return "";
  },
};

const helpKeys = keyTable(
  "Help",
  [{ keys: ["?"], does: "this list", act: () => /** @type {HTMLElement} */ (document.getElementById("help")).click() }],
  true,
);

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLInputElement} */ (event.target);
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && target.type !== "range";
  if (!typing) helpKeys(null, event);
});

window.addEventListener("mloscope-theme", () => clientside.set_props("theme", { data: document.documentElement.dataset.theme }));
