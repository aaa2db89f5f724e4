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
 * @property {[string, string[]] | null} where another option and its values with which this one means something
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
 * @property {boolean} of_units whether it has a picture of each unit of the layer
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

/** The option's value in the view; its default where the view has none, or one of another kind's. */
const valueOf = (option, view) => {
  const value = view[option.name];
  return value && (!option.choices.length || option.choices.includes(value)) ? value : option.default;
};

/** Whether the option means something beside the view's other options. */
const isMeant = (kind, option, view) => {
  if (!option.where) return true;
  const [name, values] = option.where;
  return values.includes(
    valueOf(
      kind.options.find((each) => each.name === name),
      view,
    ),
  );
};

export const filmKinds = { all, kindOf, offers, inWords, isMeant, valueOf };
