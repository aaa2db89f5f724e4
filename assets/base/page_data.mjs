/** What the server wrote into the page's head, as app/web/dash/page_data.py says: `pageData`. */

const known = new Map();

/**
 * @param {string} id of a script element
 * @returns {any} its JSON, read once
 * @throws {Error} where the page does not have it
 */
export const pageData = (id) => {
  if (!known.has(id)) {
    const place = document.getElementById(id);
    if (!place) throw new Error(`The page has no <script id="${id}">; app/web/dash/page_data.py writes it.`);
    known.set(id, JSON.parse(place.textContent || ""));
  }
  return known.get(id);
};
