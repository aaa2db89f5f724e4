/**
 * The bytes of confusion counts, "MLC1", as GET runs/{run}/statistics/confusions gives them. `confusionBytes`.
 *
 * The header is {"steps", "classes": C, "cells": [number of cells of each step], "images": [labelled images of each step]}; then,
 * for each step, uint32 cell numbers actual * (C + 1) + predicted in ascending order (predicted == C: not predicted), and as many
 * uint32 counts.
 */
import { checkLength, openContainer } from "mloscope/base/container.mjs";

export const confusionBytes = {
  /**
   * Read confusion bytes, without copying them.
   * @param {ArrayBuffer} buffer
   * @returns {{step: number, value: {cells: Uint32Array, counts: Uint32Array, images: number, classes: number}}[]}
   * @throws {Error} with a sentence where the bytes are not confusion counts
   */
  parse(buffer) {
    const { header, start } = openContainer(buffer, "MLC1", "confusion counts");
    const expected = start + header.cells.reduce((sum, count) => sum + 8 * count, 0);
    checkLength(buffer, expected, "confusion counts");
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
