/**
 * The address names run and corpus from the beginning: where it does not, those that the server shows then. Before Dash reads it.
 */
import { searchOf } from "mloscope/base/addresses.mjs";

const place = document.getElementById("first-shown");
const { run = null, corpus = null } = place ? JSON.parse(place.textContent || "{}") : {};
const asked = new URLSearchParams(location.search);
if (run && !asked.has("run")) {
  const others = location.search.replace(/^\?/, "&");
  const named = searchOf(run, asked.has("corpus") ? null : corpus);
  history.replaceState(history.state, "", location.pathname + named + others + location.hash);
}
