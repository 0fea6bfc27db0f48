// Making and finding elements. Texts are set as text, never parsed.

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** A new element: properties (`class`, `on…` listeners, attributes), then its children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Show one element or hide it; a keyboard that was in it goes to the main part of the page. */
export function show(element, shown = true) {
  const held = !shown && element.contains(document.activeElement);
  element.hidden = !shown;
  if (held) $("main").focus({ preventScroll: true });
}

/** Bring an element into view, and the keyboard with it. */
export function visit(element, block = "nearest") {
  element.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}

/** The colour class of a genre: its place among the model's genres, ten colours round and round. */
export const colour = (genres, genre) => `g${Math.max(0, genres.indexOf(genre)) % 10}`;

/** A spot of a genre's colour. */
export const spot = (genres, genre) =>
  make("span", { class: `spot ${colour(genres, genre)}`, "aria-hidden": "true" });
