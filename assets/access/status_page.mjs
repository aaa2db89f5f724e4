/**
 * The status page: times in the reader's own, and what has changed, every few seconds.
 *
 *     GET /status ──► each [data-part] whose HTML is another than before is replaced; the rest stays as it is
 */

const page = /** @type {HTMLElement} */ (document.querySelector(".access-status"));
const refreshMs = 1000 * Number(/** @type {HTMLElement} */ (document.querySelector("[data-refresh-s]")).dataset.refreshS);
const parts = (root) => new Map([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
const told = new Map([...parts(page)].map(([name, part]) => [name, part.innerHTML])); // as the server wrote them
let answeredAt = new Date();

/** 14:05:12, with the day before it where that is not today. */
function inWords(moment) {
  const time = moment.toLocaleTimeString();
  return moment.toDateString() === new Date().toDateString() ? time : `${moment.toLocaleDateString()} ${time}`;
}

function localise(root) {
  for (const time of root.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    time.title = moment.toString();
    time.textContent = inWords(moment);
  }
}

function takeOver(fresh) {
  for (const [name, part] of parts(page)) {
    const html = fresh.get(name) ? fresh.get(name).innerHTML : "";
    if (html === told.get(name)) continue;
    told.set(name, html);
    const open = new Set([...part.querySelectorAll("details[open]")].map((details) => details.dataset.key));
    part.innerHTML = html;
    localise(part);
    for (const details of part.querySelectorAll("details")) details.open = open.has(details.dataset.key);
  }
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(window.location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.redirected) window.location.reload(); // to where one signs in
    if (!answer.ok) throw new Error(String(answer.status));
    takeOver(parts(new DOMParser().parseFromString(await answer.text(), "text/html")));
    answeredAt = new Date();
  } catch {
    const silent = `The server has not answered since ${inWords(answeredAt)}; what is below is of then.`;
    told.set("summary", null);
    /** @type {HTMLElement} */ (page.querySelector(".access-summary")).textContent = silent;
  }
}

localise(page);
setInterval(refresh, refreshMs);
document.addEventListener("visibilitychange", refresh);
