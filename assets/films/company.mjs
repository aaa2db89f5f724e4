/**
 * Films that are looked at together: one pointer, one place on the sheet. `Company`; `mainCompany` is that of the main display.
 *
 * A place is another film's by the unit that stands there; where two films lie alike, also by share of the sheet.
 */

/** Where a film is scrolled to, 0..1 of what can be scrolled. */
const share = (at, length, room) => (length > room ? at / (length - room) : 0);

const isAlike = (a, b) => a.layout && b.layout && ["grid", "across", "down"].every((key) => a.layout[key] === b.layout[key]);

const isAsLarge = (a, b) => isAlike(a, b) && ["width", "height", "scale"].every((key) => a.layout[key] === b.layout[key]);

export class Company {
  constructor() {
    /** @type {any[]} */
    this.all = [];
    this.following = false;
  }

  /** @param {any} film a FilmView @returns {() => void} leaves */
  join(film) {
    this.all.push(film);
    film.company = this;
    return () => {
      this.all = this.all.filter((other) => other !== film);
    };
  }

  /** The others that show something. */
  others(film) {
    return this.all.filter((other) => other !== film && other.shown && other.film && other.film.header);
  }

  /** Whether the same place in both films stands for the same, whatever its unit's number. */
  samePlaces(film, other) {
    return film === other;
  }

  /** The place in another film of what stands at a place of this one; null where it has none. */
  placeIn(film, other, place) {
    if (this.samePlaces(film, other)) return place;
    const found = other.film.header.units.indexOf(film.film.header.units[place]);
    return found < 0 ? null : found;
  }

  /** The pointer is over a value of one film: the others outline the same unit. */
  hovered(film, over) {
    for (const other of this.others(film)) other.pointer.shadow(over && film.film.header ? this.placeIn(film, other, over.unit) : null);
  }

  /** What the tip says of a value. */
  lines(film, over, named) {
    return named(film.pointer.readings(over));
  }

  /** One film was scrolled: the others go along. */
  scrolled(film) {
    if (this.following) return;
    this.following = true;
    for (const other of this.others(film)) {
      if (isAsLarge(film, other)) other.stage.scrollTo(film.stage.scrollLeft, film.stage.scrollTop);
      else if (isAlike(film, other) || this.samePlaces(film, other)) alongside(film.stage, other.stage);
      else this.toUnit(film, other);
    }
    requestAnimationFrame(() => {
      this.following = false;
    });
  }

  /** Let the unit in the middle of one film be seen in another. */
  toUnit(film, other) {
    const { unit } = film.pointer.inTheMiddle() || {};
    const place = unit === undefined ? null : this.placeIn(film, other, unit);
    if (place !== null) other.pointer.reveal({ unit: place, channel: 0 });
  }
}

/** By share, for sheets may be of different sizes. */
function alongside(stage, other) {
  const across = share(stage.scrollLeft, stage.scrollWidth, stage.clientWidth);
  const down = share(stage.scrollTop, stage.scrollHeight, stage.clientHeight);
  other.scrollLeft = across * (other.scrollWidth - other.clientWidth);
  other.scrollTop = down * (other.scrollHeight - other.clientHeight);
}

export const mainCompany = new Company();
