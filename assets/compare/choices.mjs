/** Choices of a comparison that are rows of buttons: scales, alignment, and how a blink goes on. Each has a node, and `show` for the view. */
import { segments } from "mloscope/base/controls.mjs";
import { button, element, write } from "mloscope/base/dom.mjs";
import { view } from "mloscope/base/view.mjs";
import { compare } from "mloscope/compare/state.mjs";
import { turns } from "mloscope/compare/turns.mjs";

/** Whether A and B have a colour scale each. */
export function ownScales() {
  const [[common], [own, text, help]] = view.choices("compare-scale");
  const { node, show } = segments("Colour scales of A and B", [[own, text, help]], () =>
    view.set({ "compare-scale": view.get()["compare-scale"] === own ? common : own }),
  );
  return { node, show: () => show(view.get()["compare-scale"]) };
}

/** What the same point of another run is. What suits both runs best is chosen by choosing nothing else. */
export function alignment() {
  const best = () => compare.overview && compare.overview.alignment;
  const options = view.choices("compare-align").filter(([value]) => value !== "auto");
  const { node, show } = segments("What the same point of another run is", options, (value) =>
    view.set({ "compare-align": value === best() ? "auto" : value }),
  );
  node.id = "compare-align";
  const tool = element("div", { class: "tool" }, [element("span", {}, ["same"]), node]);
  return { node: tool, show: () => show(compare.align) };
}

/** Whether A and B take turns by themselves, and a turn by hand. */
export function turning() {
  const act = (change) => () => {
    change();
    show();
  };
  const going = button(
    "segment",
    "Pause",
    "Let A and B take turns by themselves, or stop",
    act(() => turns.pause(!turns.isPaused)),
  );
  const turn = button("segment", "Show B", "Show the other side now", act(turns.next));
  const show = () => {
    write(going, turns.isPaused ? "Go on" : "Pause");
    write(turn, turns.side === "A" ? "Show B" : "Show A");
    turn.hidden = !turns.isPaused; // its word would change under the pointer
  };
  return { node: element("div", { class: "segments", role: "group", "aria-label": "Blink" }, [going, turn]), show };
}
