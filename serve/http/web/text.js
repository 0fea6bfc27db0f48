// The page's words in the reader's language. A translation is one more file and one line here.
const LANGUAGES = { en: () => import("./strings.en.js") };

const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
export const language = wanted.find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";

const { strings } = await LANGUAGES[language]();

/** The words of this name; `values` fill its {places}. */
export function say(name, values = {}) {
  const words = strings[name];
  if (words === undefined) throw new Error(`no words for ${name}`);
  return words.replace(/\{(\w+)\}/g, (_, place) => isolated(values[place]));
}

// A name that is written from right to left must not pull the words around it along.
const RIGHT_TO_LEFT = /[\u0590-\u08ff\u200f\u202b\u202e\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const isolated = (value) => (RIGHT_TO_LEFT.test(value) ? `\u2068${value}\u2069` : value);

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

/** How long something takes, in hours, minutes and seconds; below a minute to two digits. */
export function lasting(seconds) {
  if (seconds < 59.5) return say("lasting.s", { s: short.format(seconds) });
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h) return say(m ? "lasting.hm" : "lasting.h", { h, m });
  return say(s ? "lasting.ms" : "lasting.m", { m, s });
}

/** A place in a track, like a player shows it: hours only where there are any. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
