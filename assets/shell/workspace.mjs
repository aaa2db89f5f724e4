/**
 * What comes, grows and goes while a page is open.
 *
 *     every 5 s, while the page is seen and time rests: GET runs, GET corpora (mostly 304)
 *       ├── something that is shown is gone ──► a notice; what was loaded stays, and the slider moves it
 *       └── it is there again, or has grown, or others have come ──► Store "connections" ──► server ──► Store "subject"
 */
import { api } from "mloscope/base/addresses.mjs";
import { onBack } from "mloscope/base/asking_again.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { notice, takeBackNotice } from "mloscope/base/notices.mjs";
import { onOpen, openAnew, subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";

const LOOK_EVERY_MS = 5000;
const AT_REST_AFTER_MS = 2000;
const known = new Map(); // kind and name -> {count, version, problem} of what is shown, as last seen
const grown = new Map(); // the same, of what has other files since: seen once
let looking = false;
let movedAtMs = -Infinity;

const key = (kind, name) => `${kind} ${name}`;

/** Kind and name of everything that the page shows. */
function shown(subject) {
  const viewNow = view.get();
  const runs = [subject.run, viewNow["b-run"], ...(viewNow["compare-runs"] || "").split(",")];
  return [...runs.map((name) => ["run", name]), ["corpus", subject.corpus]].filter(([, name]) => name);
}

const differs = (now, before) => now.count !== before.count || now.version !== before.version;

/** Of several web processes one may not have looked yet: that files are others has to be seen twice, or it would come and go. */
function isSeenTwice(place, now, before) {
  if (!before || now.problem !== null || before.problem !== null || !differs(now, before)) {
    grown.delete(place);
    return true;
  }
  const seen = grown.get(place);
  grown.set(place, now);
  return Boolean(seen) && !differs(now, seen);
}

/** Report what happened to one of them, and return whether to request it again. */
function changed(kind, name, now, before) {
  if (now.problem === before.problem) return now.problem === null && differs(now, before);
  if (before.problem) takeBackNotice(before.problem);
  if (now.problem === null) notice(`The ${kind} "${name}" is there again.`);
  else notice(subject.checkpoints.length ? `${now.problem} What was loaded before is still shown.` : now.problem);
  return now.problem === null;
}

async function look() {
  const opened = subject;
  const resting = !time.playing && !time.held && performance.now() - movedAtMs > AT_REST_AFTER_MS;
  if (!opened || looking || document.hidden || !resting) return;
  looking = true;
  try {
    const [{ runs }, { corpora }] = await Promise.all(["runs", "corpora"].map((what) => fetchJson(api([what]))));
    if (subject !== opened) return; // another one was opened meanwhile
    const now = new Map([
      ...runs.map((run) => [key("run", run.name), { count: run.checkpoints, version: run.version, problem: run.problem }]),
      ...corpora.map((corpus) => [key("corpus", corpus.name), { count: corpus.size, problem: corpus.problem }]),
    ]);
    compare(
      opened,
      now,
      [runs, corpora].map((all) => all.map(({ name }) => name)),
    );
  } catch {
    // A server that is away is said where something is asked of it.
  } finally {
    looking = false;
  }
}

function compare(opened, now, names) {
  let anew = false;
  let broken = false;
  for (const [kind, name] of shown(subject)) {
    const state = now.get(key(kind, name)) || { count: 0, problem: `The ${kind} "${name}" is no longer available.` };
    const before = known.get(key(kind, name));
    if (!isSeenTwice(key(kind, name), state, before)) continue;
    anew = (before && changed(kind, name, state, before)) || anew;
    broken = broken || (kind === "run" && name === subject.run && Boolean(state.problem));
    known.set(key(kind, name), state);
  }
  const others = JSON.stringify(names) !== JSON.stringify([subject.runs, subject.corpora]);
  if (broken || !(anew || others)) return; // opening a run that is gone would discard what was loaded
  if (anew) askForSubject();
  else askForConnections();
}

/** What is connected, and what is shown of it, is requested again. */
export function askForConnections() {
  window.dash_clientside.set_props("connections", { data: { asked: Date.now() } });
}

/** Something of the run or corpus is another one: it is requested, and every view opens it again. */
export const askForSubject = () => {
  openAnew();
  askForConnections();
};

onOpen((subject, isNew) => {
  if (!isNew) return;
  known.clear();
  grown.clear();
  const { version } = subject;
  const count = subject.checkpoints.length;
  known.set(key("run", subject.run), { count, version, problem: count ? null : (subject.problems || [])[0] || "" });
});
time.subscribe(() => {
  movedAtMs = performance.now();
});
onBack(() => subject && askForSubject());
setInterval(look, LOOK_EVERY_MS);
document.addEventListener("visibilitychange", look);
