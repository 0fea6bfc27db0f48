// The page's words in the reader's language. A translation is one more file and one line here.
const LANGUAGES = { en: () => import("./strings.en.js") };

const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
export const language = wanted.find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";

const { strings } = await LANGUAGES[language]();

/** The words of this name; `values` fill its {places}. */
export function say(name, values = {}) {
  const words = strings[name];
  if (words === undefined) throw new Error(`no words for ${name}`);
  return words.replace(/\{(\w+)\}/g, (_, place) => values[place]);
}

/** Whether there are words of this name. */
export const known = (name) => Object.hasOwn(strings, name);

/** Fill every element that names its words. */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-text]"))
    element.textContent = say(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", say(element.dataset.label));
}

const share = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 2 });
const plain = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

/** A share from 0 to 100 as people say it. */
export const percent = (value) => `${share.format(value)} %`;

/** The same to one decimal. */
export const exactly = (value) => `${exact.format(value)} %`;

/** A number with at most one decimal. */
export const number = (value) => plain.format(value);

/** Seconds of waiting, to two digits. */
export const waited = (seconds) => short.format(seconds);

/** Seconds as minutes and seconds, like a player shows them. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
