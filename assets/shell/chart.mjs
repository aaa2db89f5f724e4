/** The place of a Plotly chart: the component Chart. Until what draws charts is there it says so, without touching the rest of the page. */
import { chartScripts } from "mloscope/base/chart_scripts.mjs";

/** @param {{graph: string, height: string, children?: any}} props the chart's id, what its place measures without it, and the chart */
export const Chart = ({ graph, height, children }) => {
  const { createElement, useEffect, useReducer } = window.React;
  const [, draw] = useReducer((count) => count + 1, 0);
  useEffect(() => chartScripts.subscribe(draw), []);
  if (chartScripts.ready) return children;
  const again =
    chartScripts.state === "failed"
      ? createElement("button", { type: "button", className: "chart-retry", onClick: () => chartScripts.retry() }, "Try now")
      : null;
  return createElement(
    "div",
    { id: graph, className: "chart-missing", "data-state": chartScripts.state, style: { height } },
    chartScripts.sentence,
    again,
  );
};
