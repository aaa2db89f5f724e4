/** One kind of film of the selected unit alone: the component UnitFilm. Nothing here knows a kind by its name. */
import { component } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";
import { FilmView } from "mloscope/films/canvas.mjs";
import { filmKinds } from "mloscope/films/kinds.mjs";
import { MAIN } from "mloscope/films/main_side.mjs";

const SIDE = {
  ...MAIN,
  view: () => ({ ...view.get(), units: String(view.get().unit), channels: "", parameter: "" }),
  isShown: () => true,
  zoom: () => "fit",
  selected: () => 0,
  select: () => {},
  lead: (film) => [filmKinds.kindOf(film.show).title],
};

class KindOfUnit extends FilmView {
  /** @param {HTMLElement} root @param {{show: string}} props name of a kind of film */
  constructor(root, { show }) {
    super(root, show, SIDE);
  }
}

/** The React component behind components/browser_parts.py. */
export const UnitFilm = component("film", KindOfUnit);
