/**
 * Pictures and files to keep: `compareExport`. Canvases as PNG, or as SVG that holds their pixels and, as text, what
 * stands around them; charts as Plotly makes them.
 */
import { context2d } from "mloscope/base/canvas.mjs";
import { element, token } from "mloscope/base/dom.mjs";
import { fetchAnswer } from "mloscope/base/http.mjs";
import { notice } from "mloscope/base/notices.mjs";
import { subject } from "mloscope/base/subject.mjs";
import { time } from "mloscope/base/time_bus.mjs";
import { view } from "mloscope/base/view.mjs";
import { compare } from "mloscope/compare/state.mjs";

const MARGIN = 16;
const HEAD = 24;
const FOOT = 44;

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const escaped = (text) => text.replace(/[&<>"]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter]);

/** What stands above a picture: run and moment first; of a matrix its title and step. */
function headingOf(film, canvas) {
  const said = [".film-lead", ".film-moment", ".film-title"].map((part) => (film.querySelector(part) || {}).textContent);
  const step = !said[1] && canvas.dataset.step ? `step ${canvas.dataset.step}` : "";
  return [...said, step].filter(Boolean).join(" · ");
}

/** The pictures in sight, side by side, each under its title and over its scale. */
function drawing(place) {
  const inSight = (node) => node.getBoundingClientRect().width > 0 && node.querySelector("canvas[data-state=ready]");
  const films = [...place.querySelectorAll(".film:not([hidden]), .compare-matrix:not([hidden])")].filter(inSight);
  const parts = [];
  let x = MARGIN;
  let tallest = 0;
  for (const film of films) {
    const canvas = film.querySelector("canvas[data-state]");
    const box = canvas.getBoundingClientRect();
    const [width, height] = [Math.max(240, Math.round(box.width)), Math.round(box.height)];
    const said = (selector) => [...film.querySelectorAll(selector)].map((node) => node.textContent);
    const bar = film.querySelector(".film-bar");
    parts.push(
      `<text x="${x}" y="${MARGIN + 10}">${escaped(headingOf(film, canvas))}</text>`,
      `<image x="${x}" y="${MARGIN + HEAD}" width="${Math.round(box.width)}" height="${height}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${canvas.toDataURL()}"/>`,
    );
    const words = film.querySelector(":scope > .quiet-text"); // a matrix says its scale in words
    if (words)
      parts.push(
        `<text x="${x}" y="${MARGIN + HEAD + height + 16}" font-size="11">${escaped(words.textContent.slice(0, width / 6))}</text>`,
      );
    if (bar) {
      const y = MARGIN + HEAD + height + 10;
      parts.push(`<image x="${x}" y="${y}" width="200" height="8" preserveAspectRatio="none" href="${bar.toDataURL()}"/>`);
      said(".film-tick").forEach((text, at) => {
        const anchor = ["start", "middle", "end"][at];
        parts.push(`<text x="${x + at * 100}" y="${y + 22}" text-anchor="${anchor}" font-size="11">${escaped(text)}</text>`);
      });
    }
    x += width + MARGIN;
    tallest = Math.max(tallest, height);
  }
  const [width, height] = [Math.max(x, 200), tallest + HEAD + FOOT + 2 * MARGIN];
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="${token("--text")}">`;
  return {
    width,
    height,
    svg: `${open}<rect width="100%" height="100%" fill="${token("--surface")}"/>${parts.join("")}</svg>`,
    films: films.length,
  };
}

async function rasterised({ svg, width, height }) {
  const image = new Image();
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  image.src = address;
  await image.decode();
  const canvas = element("canvas", { width: width * 2, height: height * 2 });
  const context = context2d(canvas);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width * 2, height * 2);
  URL.revokeObjectURL(address);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const nameNow = () => {
  return `${subject.run}-${time.step}-${compare.run}-${compare.step()}-${view.get().layer}`.replace(/[^\w.-]+/g, "-");
};

export const compareExport = {
  drawing,

  /** @param {Element} place with the films @param {"png"|"svg"} format */
  async picture(place, format) {
    const chosen = drawing(place);
    if (!chosen.films) {
      notice("There is no picture to save yet.");
      return;
    }
    const blob = format === "svg" ? new Blob([chosen.svg], { type: "image/svg+xml" }) : await rasterised(chosen);
    save(blob, `${nameNow()}.${format}`);
  },

  /** A file of the server's; a refusal is said. @param {string | null} url null where there is nothing to compare */
  async file(url) {
    if (!url) {
      notice("There is nothing to save: one of the sides is missing.");
      return;
    }
    try {
      const answer = await fetchAnswer(url);
      const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "");
      save(await answer.blob(), name ? name[1] : "comparison");
    } catch (error) {
      notice(error.message);
    }
  },
};
