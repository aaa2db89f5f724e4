/** Answers to Dash's first questions that the page brings along: `broughtAnswer`. app/web/dash/mounted_index.py writes them. */

/**
 * @param {string} address that Dash asks
 * @returns {Response | null} what the page brought for it, once: who asks again wants to know what the server says now
 */
export const broughtAnswer = (address) => {
  const name = address.split("?")[0].split("/").pop();
  const place = document.getElementById(`brought${name}`);
  if (!place) return null;
  place.remove();
  return new Response(place.textContent, { headers: { "Content-Type": "application/json" } });
};
