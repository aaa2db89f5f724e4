/**
 * The title of the browser's window: "conv2 @ 2000 · resnet20 – ML-o-scope". What it begins with, the page says
 * (app/web/dash/page.py: Page.title); it stands on the page's link in the top bar.
 */
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";

const NAME = "ML-o-scope";

/**
 * @param {string} page what the page's title begins with; "{layer}" stands for the selected layer
 * @param {{layer: string, step: string, run: string}} shown empty where there is none
 * @returns {string}
 */
export function titleOf(page, { layer, step, run }) {
  const what = page.replace("{layer}", () => layer || "Network");
  const moment = step ? `${what} @ ${step}` : what;
  return `${run ? `${moment} · ${run}` : moment} – ${NAME}`;
}

/** What the title would be now, without the program's name. */
export function shownTitle() {
  return title().slice(0, -` – ${NAME}`.length);
}

function title() {
  const link = /** @type {HTMLElement | null} */ (document.querySelector('.nav-link[aria-current="page"]'));
  if (!link) return titleOf("Page not found", { layer: "", step: "", run: "" });
  const { checkpoint } = time;
  const titles = (subject && subject.titles && subject.titles.runs) || {};
  return titleOf(link.dataset.title || "", {
    layer: view.get().layer,
    step: checkpoint ? String(checkpoint.label || checkpoint.step) : "",
    run: subject ? titles[subject.run] || subject.run : "",
  });
}

function write() {
  if (!document.querySelector(".nav-link")) return; // nothing is laid out yet
  const now = title();
  if (document.title !== now) document.title = now;
}

onOpen(write);
time.onSettled(write);
view.subscribe((_, changed) => changed.includes("layer") && write());
// Dash writes a title of its own with each page, and the link of the page that came is marked then.
new MutationObserver(write).observe(document.head, { childList: true, subtree: true, characterData: true });
export const windowTitle = { write };
