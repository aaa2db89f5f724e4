/** What other scripts of the page put on the window. */
interface Window {
  /** The components that Dash draws, by their name in components/browser_parts.py. */
  mloscope: Record<string, (props: any) => any>;
  dash_clientside: Record<string, any>;
  React: any;
  Plotly: any;
}

/** Elements of our pages are all of HTML or SVG. */
interface Element extends HTMLOrSVGElement {}

interface Element {
  /** What is no text becomes one. */
  setAttribute(name: string, value: string | number | boolean): void;
}
