/**
 * The bytes of confusion counts, "MLC1", as GET runs/{run}/statistics/confusions gives them. `confusionBytes`.
 *
 * Little-endian: "MLC1", uint32 length H of the header (8 + H is a multiple of 8), JSON {"steps", "classes": C, "cells": [number
 * of cells of each step], "images": [labelled images of each step]}; then, for each step, uint32 cell numbers
 * actual * (C + 1) + predicted in ascending order (predicted == C: not predicted), and as many uint32 counts.
 */

const MAGIC = 0x31434c4d; // "MLC1" read as a little-endian number

export const confusionBytes = {
  /**
   * Read confusion bytes, without copying them.
   * @param {ArrayBuffer} buffer
   * @returns {{step: number, value: {cells: Uint32Array, counts: Uint32Array, images: number, classes: number}}[]}
   * @throws {Error} with a sentence where the bytes are no confusion counts
   */
  parse(buffer) {
    const data = new DataView(buffer);
    if (buffer.byteLength < 8 || data.getUint32(0, true) !== MAGIC) {
      throw new Error('The server sent bytes that are no confusion counts: these begin with "MLC1".');
    }
    const start = 8 + data.getUint32(4, true);
    let header;
    try {
      header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
    } catch {
      throw new Error("The header of confusion counts cannot be read.");
    }
    const expected = start + header.cells.reduce((sum, count) => sum + 8 * count, 0);
    if (buffer.byteLength !== expected) {
      throw new Error(`Confusion counts have ${buffer.byteLength} bytes; by their header they should have ${expected}.`);
    }
    let at = start;
    return header.steps.map((step, position) => {
      const length = header.cells[position];
      const cells = new Uint32Array(buffer, at, length);
      const counts = new Uint32Array(buffer, at + 4 * length, length);
      at += 8 * length;
      return { step, value: { cells, counts, images: header.images[position], classes: header.classes } };
    });
  },
};
