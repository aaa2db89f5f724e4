/**
 * The kinds of films, as app/films/kinds tells them: nothing here knows one by its name.
 */
import { pageData } from "mloscope/base/page_data.mjs";

/**
 * @typedef {Object} Option
 * @property {string} name
 * @property {string} help
 * @property {string} default
 * @property {string[]} choices
 */
/**
 * @typedef {Object} FilmKind
 * @property {string} name as in addresses
 * @property {string} title
 * @property {string} help
 * @property {string} doing
 * @property {boolean} needs_image
 * @property {boolean} needs_evaluation
 * @property {("diverging"|"sequential"|"rgb")} scale
 * @property {Option[]} options
 */

/** @returns {FilmKind[]} all kinds, ours first */
const all = () => pageData("film-kinds");

/** The kind of this name; the first where there is none. */
const kindOf = (name) => all().find((kind) => kind.name === name) || all()[0];

/** Whether the kind of this name offers the option, such as "parameter". */
const offers = (name, option) => kindOf(name).options.some((each) => each.name === option);

/** What the kind is called within a sentence. */
const inWords = (kind) => kind.title.charAt(0).toLowerCase() + kind.title.slice(1);

export const filmKinds = { all, kindOf, offers, inWords };
