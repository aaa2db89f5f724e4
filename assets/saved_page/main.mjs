/**
 * A view as one file: the parts of the page Network that need no server, with what the server said when it was saved.
 *
 * Dash and React are not there. The parts are mounted once and never change, which is all that is needed of React here.
 */
import "mloscope/shell/opening.mjs";
import { element } from "mloscope/base/dom.mjs";
import { pageData } from "mloscope/base/page_data.mjs";
import { openSubject } from "mloscope/base/subject.mjs";
import { FilmCanvas } from "mloscope/films/canvas.mjs";
import { PredictionBars } from "mloscope/images/prediction_bars.mjs";
import { keepAnswers } from "mloscope/saved_page/kept_answers.mjs";
import { TimeSlider } from "mloscope/shell/time_slider.mjs";
import { ViewSelect } from "mloscope/shell/view_select.mjs";

const PARTS = { FilmCanvas, PredictionBars, TimeSlider, ViewSelect };

/** Put a part into its place. @param {(props: any) => any} part @param {any} props @param {Element} place */
function mount(part, props, place) {
  const ref = /** @type {{current: any}} */ ({ current: null });
  /** @type {(() => void)[]} */
  const effects = [];
  window.React = {
    useRef: () => ref,
    useEffect: (effect) => effects.push(effect),
    createElement: (tag, { id, className }) => (ref.current = element(tag, { id, class: className })),
  };
  place.append(part(props));
  for (const effect of effects) effect();
}

window.dash_clientside = { set_props: () => {} };
keepAnswers(pageData("saved-answers"));
for (const { part, place, props } of pageData("saved-parts"))
  mount(PARTS[part], props, /** @type {Element} */ (document.getElementById(place)));
openSubject(pageData("saved-subject"));
