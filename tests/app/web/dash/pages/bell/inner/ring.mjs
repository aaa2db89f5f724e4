export const ring = (text) => document.documentElement.setAttribute("data-bell", text);
