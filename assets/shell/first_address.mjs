/**
 * The address names run and corpus from the beginning: where it does not, those that the server shows then. Before Dash reads it.
 */
import { searchOf } from "mloscope/base/addresses.mjs";

const place = document.getElementById("first-shown");
const { run = null, corpus = null } = place ? JSON.parse(place.textContent || "{}") : {};
if (run && !new URLSearchParams(location.search).has("run")) {
  const others = location.search.replace(/^\?/, "&");
  history.replaceState(history.state, "", location.pathname + searchOf(run, corpus) + others + location.hash);
}
