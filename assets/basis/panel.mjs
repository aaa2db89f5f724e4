/**
 * The whole record of what a run's numbers rest on, in rows: `basisPanel`. Notices come first, the gravest at the top.
 */
import { api } from "mloscope/base/addresses.mjs";
import { element } from "mloscope/base/dom.mjs";
import { fetchJson } from "mloscope/base/http.mjs";
import { grouped } from "mloscope/base/numbers.mjs";
import { basisForm } from "mloscope/basis/form.mjs";
import { basisWords } from "mloscope/basis/words.mjs";

const OUTPUTS_LISTED = 1000;

/**
 * @param {import("mloscope/base/subject.mjs").Subject} subject
 * @param {boolean} isEditor whether the outputs may be named
 * @returns {any[]}
 */
export const basisPanel = (subject, isEditor) => {
  const { run, corpus } = subject;
  const basis = /** @type {any} */ (subject.basis);
  const { runs = {}, corpora = {} } = subject.titles || {};
  const of = `${runs[run] || run}${corpus ? ` over ${corpora[corpus] || corpus}` : ""}`;
  const address = api(["runs", run, "basis"], { corpus });
  return [
    element("header", { class: "basis-head" }, [
      element("h2", { class: "basis-title" }, [`What numbers of ${of} rest on`]),
      element("a", { class: "basis-json", href: address, target: "_blank", rel: "noopener" }, ["JSON"]),
    ]),
    ...basisWords.KINDS.map((kind) => noticesOf(basis, kind)).filter(Boolean),
    ...basisWords
      .rows(basis)
      .flatMap(({ heading, rows }) => [
        element("h3", { class: "basis-heading" }, [heading]),
        element("dl", { class: "basis-rows" }, rows.flatMap(row)),
      ]),
    ...(basis.output.rule === null || !corpus ? [] : [outputsOf(subject)]),
    basisForm(subject, isEditor),
  ];
};

function row([name, text]) {
  return name ? [element("dt", {}, [name]), element("dd", {}, [text])] : [element("dd", { class: "basis-wide" }, [text])];
}

function noticesOf({ notices }, { kind, icon, heading }) {
  const found = notices.filter((notice) => notice.kind === kind);
  if (!found.length) return null;
  return element("section", { class: "basis-notices", "data-kind": kind }, [
    element("h3", { class: "basis-heading" }, [element("span", { class: "basis-icon", "aria-hidden": "true" }, [icon]), ` ${heading}`]),
    element("ul", {}, found.map(({ sentence }) => element("li", {}, [sentence]))),
  ]); // prettier-ignore
}

/** Which class of the corpus each output is; the corpus's names come when it is opened. */
function outputsOf({ corpus, basis: { classes } }) {
  const body = element("tbody", {});
  const head = ["output", "called", "class of the corpus"].map((text) => element("th", { scope: "col" }, [text]));
  const details = element("details", { class: "basis-outputs" }, [
    element("summary", {}, ["Which class each output is"]),
    element("table", {}, [element("thead", {}, [element("tr", {}, head)]), body]),
  ]);
  details.addEventListener("toggle", async () => {
    if (!details.open || body.children.length) return;
    let names = [];
    try {
      names = (await fetchJson(api(["corpora", corpus]))).class_names;
    } catch {
      names = []; // numbers of classes instead
    }
    const partner = (label) => (label === null || label === undefined ? "–" : (names[label] ?? `class ${label}`));
    const cells = (output, name) =>
      [String(output), name, partner(classes.corpus_classes[output])].map((text) => element("td", {}, [text]));
    body.replaceChildren(...classes.names.slice(0, OUTPUTS_LISTED).map((name, output) => element("tr", {}, cells(output, name))));
    const rest = classes.names.length - OUTPUTS_LISTED;
    if (rest > 0) body.append(element("tr", {}, [element("td", { colspan: 3 }, [`${grouped(rest)} more`])]));
  });
  return details;
}
