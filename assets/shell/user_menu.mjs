/** The menu under one's name in the top bar (app/web/dash/shell.py): it closes by itself, and signs out as the server wants it. */
import { element } from "mloscope/base/dom.mjs";

const MENU = "details.user-menu";
const CSRF_COOKIE = "_csrf_token"; // app/web/access/own_page.py

const close = () => document.querySelectorAll(`${MENU}[open]`).forEach((menu) => menu.removeAttribute("open"));

document.addEventListener("pointerdown", ({ target }) => {
  if (!(target instanceof Element && target.closest(MENU))) close();
});

document.addEventListener("keydown", ({ key }) => {
  const menu = document.querySelector(`${MENU}[open]`);
  if (key !== "Escape" || !menu) return;
  close();
  /** @type {HTMLElement} */ (menu.querySelector("summary")).focus();
});

// A form proves that it is ours by sending the cookie back, which no other site can read.
document.addEventListener("submit", ({ target }) => {
  if (!(target instanceof Element && target.closest(MENU))) return;
  const [, value = ""] = new RegExp(`(?:^|; )${CSRF_COOKIE}=([^;]*)`).exec(document.cookie) || [];
  target.append(element("input", { type: "hidden", name: "token", value }));
});
