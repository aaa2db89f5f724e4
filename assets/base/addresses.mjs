/** Addresses of the server, below whatever path the application is mounted at. */

/**
 * The address of a REST route, below whatever path the application is mounted at.
 * @param {string[]} segments path segments after /api/v1; a "/" inside one stays a "/" (layer names hold them)
 * @param {Record<string, string|number|null|undefined>} [query] entries that are null, undefined or "" are left out
 * @returns {string}
 */
export const api = (segments, query = {}) => {
  const path = segments.map((segment) => String(segment).split("/").map(encodeURIComponent).join("/")).join("/");
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${encodeURIComponent(String(value)).replace(/%2C/g, ",")}`);
  return `${mountPath()}api/v1/${path}${pairs.length ? `?${pairs.join("&")}` : ""}`;
};

/**
 * An address that the server gives, or that begins with a slash, below whatever path the application is mounted at.
 * @param {string} address such as "/api/v1/films/0f3c..."
 * @returns {string}
 */
export const mountedAt = (address) => mountPath() + address.replace(/^\//, "");

/**
 * The search of a page's address, which names what it is about.
 * @param {string | null} run
 * @param {string | null} corpus
 * @returns {string} with "?"; empty where there is no run
 */
export const searchOf = (run, corpus) => (run ? `?${new URLSearchParams(corpus ? { run, corpus } : { run })}` : "");

function mountPath() {
  const config = document.getElementById("_dash-config");
  try {
    return (config && JSON.parse(config.textContent).requests_pathname_prefix) || "/";
  } catch {
    return "/";
  }
}
