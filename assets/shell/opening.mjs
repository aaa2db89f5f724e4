/** What happens first when another run or corpus is opened: films of the old one go, then the view begins with the new one. */
import { onOpen } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { films } from "mloscope/films/films.mjs";

onOpen((subject, isNew) => {
  if (isNew) films.forget();
  view.open(subject, isNew);
});
