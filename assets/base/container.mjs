/** Binary answers of the server: four letters, a JSON header and arrays, as app/process/binary_container.py writes them. */

const HEADER_AT = 8;

/**
 * Read the header. The arrays behind it stay where they are: make typed arrays of the same buffer.
 * @param {ArrayBuffer} buffer
 * @param {string} kind four letters, such as "MLF1"
 * @param {string} what what the sentence of the error calls it, such as "a film"
 * @returns {{header: any, start: number}} `start` is where the arrays begin, a multiple of 8
 * @throws {Error} with a sentence where the bytes are something else
 */
export const openContainer = (buffer, kind, what) => {
  const bytes = new Uint8Array(buffer);
  if (bytes.length < HEADER_AT || String.fromCharCode(...bytes.subarray(0, 4)) !== kind) {
    throw new Error(`The server sent bytes that are not ${what}: they should begin with "${kind}".`);
  }
  const start = HEADER_AT + new DataView(buffer).getUint32(4, true);
  try {
    return { header: JSON.parse(new TextDecoder().decode(bytes.subarray(HEADER_AT, start))), start };
  } catch {
    throw new Error(`The header of ${what} cannot be read.`);
  }
};

/**
 * Check that nothing of a container is missing.
 * @param {ArrayBuffer} buffer
 * @param {number} expected its length by its header
 * @param {string} what as of openContainer
 * @throws {Error}
 */
export const checkLength = (buffer, expected, what) => {
  if (buffer.byteLength === expected) return;
  throw new Error(`Expected ${expected} bytes of ${what}, as its header says; got ${buffer.byteLength}.`);
};
