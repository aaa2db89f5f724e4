/**
 * The card of the selected image: the component ImageCard, one for all pages. It opens where an image behind a number is chosen
 * (assets/images/choosing.mjs), tells what became of the image, and follows time; Escape closes it and gives the focus back.
 *
 *     view (image, card) ──► picture, name, true class ──► ImageStory: since when, course, likeliest classes
 *
 * Whether it is open stands in the view. The main display shows the same beside its own images, so that nothing is covered there.
 */
import { mountedAt } from "mloscope/base/addresses.mjs";
import { button, component, element, hit } from "mloscope/base/dom.mjs";
import { keyTable } from "mloscope/base/keys.mjs";
import { onOpen, subject } from "mloscope/base/subject.mjs";
import { view } from "mloscope/base/view.mjs";
import { ImageFacts } from "mloscope/images/facts.mjs";
import { ImageStory } from "mloscope/images/story.mjs";

const cardKeys = keyTable("Card of an image", [{ keys: ["Escape"], does: "close the card", act: (card) => card.close() }]);

class Card {
  /** @type {HTMLElement | null} what had the focus when the card opened */ opener = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.facts = new ImageFacts();
    this.network = element("a", { class: "story-link", href: mountedAt("/"), "data-page": "network" }, ["Open in Network"]);
    const lab = element("a", { class: "story-link", href: mountedAt("/lab"), "data-page": "lab" }, ["Move, cover or blur it in the lab"]);
    const story = element("div", { class: "story" });
    const close = button("notice-close card-close", "×", "Close the card (Escape)", () => this.close());
    const head = element("div", { class: "card-head" }, [this.facts.node, close]);
    const node = element("section", { class: "card", role: "dialog", "aria-label": "The selected image", tabindex: -1, hidden: true }, [
      head, story, element("div", { class: "card-links" }, [this.network, lab]),
    ]); // prettier-ignore
    this.node = node;
    root.append(node);
    this.story = new ImageStory(story, { isListed: true });
    const key = (event) => this.key(event);
    const press = (event) => (this.pressed = event);
    document.addEventListener("keydown", key, true);
    document.addEventListener("pointerdown", press, true);
    this.sizes = new ResizeObserver(() => this.fit());
    const timeline = document.querySelector(".shell-timeline");
    if (timeline) this.sizes.observe(timeline);
    this.undo = [
      view.subscribe((_, changed) => (changed.includes("image") || changed.includes("card")) && this.show()),
      onOpen(() => this.show()),
      () => document.removeEventListener("keydown", key, true),
      () => document.removeEventListener("pointerdown", press, true),
      () => this.sizes.disconnect(),
    ];
  }

  destroy() {
    this.story.destroy();
    for (const undo of this.undo) undo();
    this.root.replaceChildren();
  }

  get isOpen() {
    return !this.node.hidden;
  }

  /** As low as the timeline lets it be. */
  fit() {
    const timeline = document.querySelector(".shell-timeline");
    this.node.style.setProperty("--below", `${timeline ? timeline.getBoundingClientRect().height : 0}px`);
  }

  async show() {
    const { image, card } = view.get();
    const corpus = subject && subject.corpus;
    const wasOpen = this.isOpen;
    const isOpen = card === "open" && Boolean(image) && Boolean(corpus);
    if (!wasOpen && isOpen) this.open();
    if (wasOpen && !isOpen) this.leave();
    this.story.show(isOpen ? image : null);
    const record = await this.facts.show(isOpen ? corpus : null, image);
    if (record) this.story.show(record.id, record.split);
  }

  /** On the side where the pointer is not; the focus comes along. */
  open() {
    this.opener = document.activeElement instanceof HTMLElement && document.activeElement !== document.body ? document.activeElement : null;
    const at = this.opener ? this.opener.getBoundingClientRect() : { left: 0, right: 0 };
    const x = this.pressed ? this.pressed.clientX : (at.left + at.right) / 2;
    this.node.dataset.side = x > innerWidth / 2 ? "left" : "right";
    this.node.hidden = false;
    this.fit();
    if (this.opener) this.node.focus({ preventScroll: true });
  }

  leave() {
    const had = this.node.contains(document.activeElement);
    this.node.hidden = true;
    if (had && this.opener && this.opener.isConnected) this.opener.focus({ preventScroll: true });
    this.opener = null;
  }

  close() {
    view.set({ card: "" });
  }

  /** Escape closes the card whatever has the focus, but for fields and what lies above the card. */
  key(event) {
    this.pressed = null; // the next card is opened by a key
    if (!this.isOpen || !this.node.checkVisibility() || hit(event, "input, textarea, select, dialog, .modal")) return;
    if (cardKeys(this, event)) event.stopPropagation();
  }
}

/** The React component behind components/browser_parts.py. */
export const ImageCard = component("image-card", Card);
