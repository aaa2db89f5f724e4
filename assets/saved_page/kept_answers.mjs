/**
 * The answers of a server that is not there: a page saved as one file holds them, and `fetch` gives them out. `keepAnswers`.
 *
 * app/web/rest/saved_page.py writes them: by address without its query, but for the kind of a film.
 */

/** @typedef {{type: string, base64: string}} Kept */

/** The key of an address. @param {string} address */
function keyOf(address) {
  const { pathname, searchParams } = new URL(address, "http://saved");
  const show = pathname.endsWith("/film") ? searchParams.get("show") : null;
  return decodeURIComponent(pathname) + (show ? `?show=${show}` : "");
}

const bytesOf = (base64) => Uint8Array.from(window.atob(base64), (letter) => letter.charCodeAt(0));

const refusal = () => {
  const error = { kind: "not-found", message: "This page was saved without a server, so it holds nothing of this." };
  return new Response(JSON.stringify({ error }), { status: 404, headers: { "Content-Type": "application/json" } });
};

/** Let `fetch` answer from what is kept. @param {Record<string, Kept>} answers by address */
export function keepAnswers(answers) {
  const byKey = new Map(Object.entries(answers));
  window.fetch = async (input) => {
    const kept = byKey.get(keyOf(String(input)));
    return kept ? new Response(bytesOf(kept.base64), { headers: { "Content-Type": kept.type } }) : refusal();
  };
}
