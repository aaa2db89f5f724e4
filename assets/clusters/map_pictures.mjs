/**
 * Images themselves on the map, where there is room: one for each square of the stage, framed in its point's colour.
 *
 * Which images are shown is chosen when time rests and the map has stopped moving; until then those that are there move with their
 * points, so that no step of the slider fetches a picture.
 */
import { element } from "mloscope/base/dom.mjs";
import { clusters } from "mloscope/clusters/points.mjs";
import { imageRecords } from "mloscope/images/records.mjs";

export const PICTURE_PX = 28;
const SQUARE_PX = 44;
const MOST = 160;

export class MapPictures {
  node = element("div", { class: "points-pictures", "aria-hidden": "true", hidden: true });
  /** @type {Map<number, HTMLElement>} by the image's position within the split */ pictures = new Map();

  /** @param {any} map the MovingMap of assets/clusters/point_map.mjs */
  constructor(map) {
    this.map = map;
  }

  get areWanted() {
    return Boolean(this.map.view) && this.map.view["map-marks"] === "pictures";
  }

  /** Choose whose pictures are shown: those that are there first, then the first image of each square that is free. */
  choose() {
    const { data, shown: points } = this.map;
    this.node.hidden = !this.areWanted;
    if (!this.areWanted || !points || !data.images) return;
    const chosen = new Map();
    const add = (position) => {
      const square = chosen.size < MOST ? this.square(points, position) : null;
      if (square !== null && !chosen.has(square)) chosen.set(square, position);
    };
    for (const position of this.pictures.keys()) add(position);
    for (let position = 0; position < points.images && chosen.size < MOST; position += 1) add(position);
    const kept = new Set(chosen.values());
    for (const [position, picture] of this.pictures) if (!kept.has(position)) this.remove(position, picture);
    for (const position of kept) if (!this.pictures.has(position)) this.add(position);
    this.move();
  }

  /** Put the pictures where their points are now. */
  move() {
    const { shown: points, view } = this.map;
    if (this.node.hidden || !points || !view) return;
    const colours = this.map.colours();
    for (const [position, picture] of this.pictures) {
      const spot = position < points.images ? this.map.spot(points, position) : null;
      picture.hidden = !spot;
      if (!spot) continue;
      picture.style.transform = `translate(${(spot[0] - PICTURE_PX / 2).toFixed(1)}px, ${(spot[1] - PICTURE_PX / 2).toFixed(1)}px)`;
      picture.style.borderColor = colours(position);
    }
  }

  /** Forget all: another map, other images. */
  clear() {
    for (const [position, picture] of this.pictures) this.remove(position, picture);
  }

  /** Number of the square of the stage that an image lies in; null where it is not in view. */
  square(points, position) {
    if (points.x[position] === clusters.NO_COORDINATE) return null;
    const { clientWidth, clientHeight } = this.map.stage;
    const spot = this.map.spot(points, position);
    if (!spot || spot[0] < 0 || spot[1] < 0 || spot[0] > clientWidth || spot[1] > clientHeight) return null;
    return Math.floor(spot[1] / SQUARE_PX) * 4096 + Math.floor(spot[0] / SQUARE_PX);
  }

  add(position) {
    const { data } = this.map;
    const src = imageRecords.picture(data.statistics.overview.corpus, data.images.ids[position], PICTURE_PX);
    const picture = element("img", { alt: "", width: PICTURE_PX, height: PICTURE_PX, src });
    picture.addEventListener("error", () => this.remove(position, picture));
    this.pictures.set(position, picture);
    this.node.append(picture);
  }

  remove(position, picture) {
    this.pictures.delete(position);
    picture.remove();
  }
}
