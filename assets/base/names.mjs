/** Names where room is short. */

/**
 * A name without its middle where it is long: what tells runs of a sweep apart stands at the end.
 * @param {string} name
 * @param {number} most letters
 * @returns {string}
 */
export const shortened = (name, most) => {
  const half = (most - 1) / 2;
  return name.length <= most ? name : `${name.slice(0, Math.ceil(half))}…${name.slice(-Math.floor(half))}`;
};
