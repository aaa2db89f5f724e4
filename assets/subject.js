/**
 * What is looked at: one run, one corpus, and what is known of them. Everything in the browser starts from `mloscope.open`.
 *
 * Scripts in this folder are plain (no build step) and load in alphabetical order, so they use each other only inside
 * functions. All of them hang their public names on `window.mloscope`.
 */
(() => {
  "use strict";
  const mloscope = (window.mloscope = window.mloscope || {});
  const openListeners = new Set();
  const NOTICES_SHOWN = 4;
  const PAUSES_MS = [250, 1000];
  let openedKey = null;

  mloscope.subject = null;

  /**
   * The address of a REST route, below whatever path the application is mounted at.
   * @param {string[]} segments path segments after /api/v1; a "/" inside one stays a "/" (layer names hold them)
   * @param {Object<string, string|number|null|undefined>} [query] entries that are null, undefined or "" are left out
   * @returns {string}
   */
  mloscope.api = (segments, query = {}) => {
    const path = segments.map((segment) => String(segment).split("/").map(encodeURIComponent).join("/")).join("/");
    const pairs = Object.entries(query)
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2C/g, ",")}`);
    return `${mountPath()}api/v1/${path}${pairs.length ? `?${pairs.join("&")}` : ""}`;
  };

  /**
   * An address that the server gives, or that begins with a slash, below whatever path the application is mounted at.
   * @param {string} address such as "/api/v1/films/0f3c..."
   * @returns {string}
   */
  mloscope.mountedAt = (address) => mountPath() + address.replace(/^\//, "");

  /**
   * Fetch JSON; a refusal becomes an Error whose message is the server's own sentence and whose `kind` is the server's.
   * @param {string} url
   * @param {AbortSignal} [signal]
   * @returns {Promise<Object>}
   */
  mloscope.fetchJson = async (url, signal) => {
    const answer = await mloscope.fetchAnswer(url, signal);
    return answer.json();
  };

  /**
   * Fetch, with refusals and a server that cannot be reached turned into sentences.
   * @param {string} url
   * @param {AbortSignal} [signal]
   * @param {Object} [options] of fetch: method, headers, body
   * @returns {Promise<Response>} rejects with an Error that has `kind` ("unreachable" where nobody answered) and `status`. What only
   *   reads waits while nobody is signed in
   */
  mloscope.fetchAnswer = async (url, signal, options = {}) => {
    const ask = () => fetch(url, { ...options, signal });
    let answer;
    try {
      answer = await (options.method ? ask() : mloscope.askSignedIn(() => mloscope.askAgain(ask, PAUSES_MS, signal), signal));
    } catch (cause) {
      if (cause.name === "AbortError") throw cause;
      throw Object.assign(new Error("The server does not answer. Is it still running?"), { kind: "unreachable", status: 0 });
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      // What changes something is not asked again by itself; the notice stays until somebody is signed in.
      mloscope.askSignedIn(() => fetch(mloscope.api(["runs"]))).catch(() => {});
      throw Object.assign(new Error("This sign-in is over; sign in again."), { kind: "not-signed-in", status: 401 });
    }
    let said = null;
    try {
      said = (await answer.json()).error;
    } catch {
      said = null; // an answer that is not ours, e.g. a proxy's page
    }
    const message = (said && said.message) || `The server answered ${answer.status} to ${url.split("?")[0]}.`;
    throw Object.assign(new Error(message), { kind: (said && said.kind) || "error", status: answer.status });
  };

  /**
   * Read newline-delimited JSON as it arrives.
   * @param {string} url
   * @param {AbortSignal} signal
   * @param {function(Object): void} onLine called once per line, in order
   * @returns {Promise<void>} resolves when the server closes the stream
   */
  mloscope.readLines = async (url, signal, onLine) => {
    const answer = await mloscope.fetchAnswer(url, signal);
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line.trim()) onLine(JSON.parse(line));
    }
    if (rest.trim()) onLine(JSON.parse(rest));
  };

  /**
   * Take up a run and a corpus. Called whenever the Store "subject" changes; the same subject again (a service that became
   * ready, say) keeps step and view. `classNames` are those of the network's outputs, in its order; `basis` is what its numbers
   * rest on, as the REST API has it.
   * @param {{run: string, corpus: ?string, checkpoints: Object[], classNames: string[], layers: Object[], basis: ?Object,
   *          evaluation: {possible: boolean, message: ?string}}} subject
   */
  mloscope.open = (subject) => {
    if (!subject || !subject.run) return;
    const key = JSON.stringify([subject.run, subject.corpus, subject.checkpoints, subject.basis]);
    const isNew = key !== openedKey;
    openedKey = key;
    mloscope.subject = subject;
    if (isNew) {
      mloscope.films.forget();
      mloscope.view.open(subject);
    }
    for (const listener of [...openListeners]) listener(subject, isNew);
  };

  /**
   * The output of the subject's network that stands for a class of its corpus: labels of images are classes of the corpus, rows
   * of probabilities are outputs of the network, and only the server knows which of them belong together.
   * @param {?Object} subject
   * @param {?number} label the class of the corpus, as an image's record has it
   * @returns {?number} null where no output stands for it: nothing is right or wrong about the image then
   */
  mloscope.outputOf = (subject, label) => {
    const output = Number.isInteger(label) && label >= 0 ? correspondence(subject).indexOf(label) : -1;
    return output < 0 ? null : output;
  };

  /**
   * Whether the outputs of two networks, taken in their own order, stand for the same classes.
   * @param {?Object} a a subject @param {?Object} b a subject
   * @returns {boolean}
   */
  mloscope.haveSameOutputs = (a, b) => {
    const named = (subject) => (subject && subject.basis ? subject.basis.classes.names : []);
    const labels = [a, b].map(correspondence);
    return String(labels[0]) === String(labels[1]) && (labels[0].some((label) => label !== null) || String(named(a)) === String(named(b)));
  };

  /**
   * @param {?Object} subject
   * @returns {?string} why the network of the subject predicts nothing of images; null where it does
   */
  mloscope.whyNoPredictions = (subject) => {
    const { possible = false, message = null } = (subject && subject.evaluation) || {};
    const refusal = subject && subject.basis ? subject.basis.output.refusal : null;
    return refusal || (possible ? null : message || "This run's network cannot be evaluated.");
  };

  /** The subject that comes next is another one, even if nothing of it looks different: its files may be others. */
  mloscope.openAnew = () => {
    openedKey = null;
  };

  /**
   * @param {function(Object, boolean): void} listener called with (subject, whether it is another one than before); at
   *   once where a subject is open
   * @returns {function(): void} stops listening
   */
  mloscope.onOpen = (listener) => {
    openListeners.add(listener);
    if (mloscope.subject) listener(mloscope.subject, true);
    return () => openListeners.delete(listener);
  };

  /**
   * Say something to the user, in #notices, until it is dismissed. The same sentence is not said twice at a time.
   * @param {string} text a full sentence
   */
  mloscope.notice = (text) => {
    const place = document.getElementById("notices");
    if (!place) {
      // Scripts run before Dash has laid out the page.
      if (document.readyState !== "complete" || window.dash_clientside) setTimeout(() => mloscope.notice(text), 100);
      return;
    }
    if ([...place.children].some((child) => child.dataset.text === text)) return;
    const item = mloscope.element("p", { class: "notice", "data-text": text }, [
      mloscope.element("span", {}, [text]),
      mloscope.element("button", { type: "button", class: "notice-close", title: "Dismiss this message", "aria-label": "Dismiss" }, ["×"]),
    ]);
    item.querySelector("button").addEventListener("click", () => item.remove());
    place.append(item);
    const passing = [...place.children].filter((child) => !child.classList.contains("notice-standing"));
    for (const old of passing.slice(0, -NOTICES_SHOWN)) old.remove();
  };

  /**
   * What was said is no longer so.
   * @param {string} text how the sentence begins
   */
  mloscope.takeBackNotice = (text) => {
    for (const item of document.querySelectorAll("#notices .notice")) if (item.dataset.text.startsWith(text)) item.remove();
  };

  /**
   * Make an element.
   * @param {string} tag an HTML tag, or "svg:" and an SVG tag
   * @param {Object<string, string|number|boolean|null>} attributes null and false are left out
   * @param {(Node|string)[]} [children]
   * @returns {Element}
   */
  mloscope.element = (tag, attributes, children = []) => {
    const node = tag.startsWith("svg:")
      ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };

  /**
   * Render a React component whose inside is drawn by hand; to be called from the component, every time with the same mount.
   * @param {string} className of the root element
   * @param {function(HTMLElement, Object): function(): void} mount called once with the root element and the properties;
   *   returns the function that undoes it
   * @param {Object} props `id` goes to the root element
   * @returns {Object} a React element
   */
  mloscope.mounted = (className, mount, props) => {
    const { createElement, useEffect, useRef } = window.React;
    const root = useRef(null);
    useEffect(() => mount(root.current, props), []);
    return createElement("div", { id: props.id, className, ref: root });
  };

  /**
   * A whole number with thin spaces between thousands: 1\u2009200.
   * @param {number} number
   * @returns {string}
   */
  mloscope.grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");

  /** For every output of the network the class of the corpus that it stands for, or null. */
  const correspondence = (subject) => (subject && subject.basis && subject.basis.classes.corpus_classes) || [];

  function mountPath() {
    const config = document.getElementById("_dash-config");
    try {
      return (config && JSON.parse(config.textContent).requests_pathname_prefix) || "/";
    } catch {
      return "/";
    }
  }
})();
