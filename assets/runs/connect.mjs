/** Connecting another run: a path, typed or dropped, where the server allows it; and the command for a terminal everywhere. */
import { api } from "mloscope/base/addresses.mjs";
import { button, element, write } from "mloscope/base/dom.mjs";
import { fetchJson, sendChange } from "mloscope/base/http.mjs";

/**
 * @param {boolean} isEditor
 * @param {() => void} connected called when a run was connected
 * @returns {HTMLElement}
 */
export const connectPanel = (isEditor, connected) => {
  const body = element("div", { class: "runs-menu-body" }, []);
  const panel = element("details", { class: "runs-menu runs-connect" }, [
    element("summary", { class: "bar-button" }, ["Connect a run …"]),
    body,
  ]);
  panel.addEventListener("toggle", async () => {
    if (!panel.open || body.childNodes.length) return;
    try {
      const { folders, command } = await fetchJson(api(["connections"]));
      body.append(...(isEditor && folders.length ? form(folders, connected) : []), ...terminal(command));
    } catch (error) {
      body.append(element("p", {}, [error.message]));
    }
  });
  return panel;
};

function terminal(command) {
  return [
    element("p", { class: "quiet-text" }, ["In a terminal on the server:"]),
    element("code", { class: "statistics-code" }, [command]),
  ];
}

function form(folders, connected) {
  const path = element("input", {
    class: "tool-input runs-path", placeholder: `${folders[0]}/…`, "aria-label": "Path of a folder of checkpoints", spellcheck: "false", autocomplete: "off",
  }); // prettier-ignore
  const said = element("p", { role: "status" });
  const connect = async () => {
    write(said, "Connecting …");
    try {
      const answer = await sendChange("POST", api(["connections"]), { path: path.value.trim() });
      const { name, was_connected: before } = await answer.json();
      write(said, before ? `${name} is connected already.` : `${name} is connected; it appears within 5 seconds.`);
      connected();
    } catch (error) {
      write(said, error.message);
    }
  };
  path.addEventListener("keydown", (event) => event.key === "Enter" && connect());
  path.addEventListener("dragover", (event) => event.preventDefault());
  path.addEventListener("drop", (event) => {
    event.preventDefault();
    path.value = droppedPath(event.dataTransfer) || path.value;
  });
  const label = element("label", {}, ["A folder of checkpoints, as the server sees it; paste or drop its path:", path]);
  const where = element("p", { class: "quiet-text" }, [`It must lie in ${folders.join(", ")}.`]);
  return [label, button("runs-action", "Connect", "Show this run", connect), said, where];
}

/** The path that was dropped; browsers tell none of folders themselves, only of texts and, some of them, of links to files. */
export const droppedPath = (transfer) => {
  const link = (transfer.getData("text/uri-list") || "").split("\n").find((each) => each.startsWith("file://"));
  return link ? decodeURIComponent(new URL(link.trim()).pathname) : (transfer.getData("text/plain") || "").trim();
};
