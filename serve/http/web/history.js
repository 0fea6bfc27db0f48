// What this browser has heard: the answers themselves, newest first, in local storage.
import { $, make, show, spot } from "./dom.js";
import { silentPieces } from "./mel.js";
import { isMusic } from "./music.js";
import { headline, parts } from "./parts.js";
import { percent, say } from "./text.js";

const STORE = "topgenre.history";
const MOST = 20;

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORE)).filter(whole);
  } catch {
    return [];
  }
}

// Another version of the page, or a hand, may have left what can't be shown.
function whole(entry) {
  const { video_title: title, top_prediction: top, results, timeline, clips, ...rest } = entry?.answer ?? {};
  return (
    typeof title === "string" &&
    Object.values(results ?? {}).every(Number.isFinite) &&
    [results?.[top], rest.duration_s, rest.clip_s, rest.timings_ms?.total].every(Number.isFinite) &&
    [timeline, clips?.genres, clips?.percent].every((list) => Array.isArray(list) && list.length) &&
    timeline.every((piece) => typeof piece?.genre === "string" && numbers(piece)) &&
    clips.percent.length === timeline.length &&
    clips.percent.every((row) => row?.length === clips.genres.length)
  );
}

const numbers = ({ confidence = 0, music = 0 }) => [confidence, music].every(Number.isFinite);

function write(entries) {
  // A browser may keep less than we like, or nothing: the oldest go first.
  for (let kept = entries.slice(0, MOST); ; kept = kept.slice(0, -1)) {
    try {
      return localStorage.setItem(STORE, JSON.stringify(kept));
    } catch {
      if (!kept.length) return undefined;
    }
  }
}

/** Remember an answer; `id` is the video's, if it is one. */
export function remember(answer, id) {
  // A picture would fill the store; which pieces are silent is all that is needed of it.
  const { mel, ...rest } = answer;
  rest.silent = silentPieces(answer);
  const same = (entry) => (id ? entry.id === id : entry.answer.request_id === answer.request_id);
  write([{ id, answer: rest }, ...read().filter((entry) => !same(entry))]);
}

/** Show the list; `onOpen(entry)` hears of the one that is chosen. */
export function showHistory(onOpen) {
  const entries = read();
  const list = $("history-list");
  const at = [...list.children].findIndex((item) => item.contains(document.activeElement));
  show($("history"), entries.length > 0);
  list.replaceChildren(...entries.map((entry) => make("li", {}, entryButton(entry, () => onOpen(entry)))));
  // The keyboard stays where it was in the list.
  if (at >= 0) list.children[Math.min(at, entries.length - 1)]?.firstChild.focus();
}

/** Call `onChange` when another tab has heard or forgotten something. */
export function watchHistory(onChange) {
  addEventListener("storage", ({ key }) => (key === STORE || key === null) && onChange());
}

/** A button that tells of an answer in a line, and opens it; `id` is the video's, if it is one. */
export function entryButton({ id, answer }, open) {
  const { top_prediction: top, results, clips } = answer;
  const simple = isMusic(answer) && !parts(answer).length;
  return make(
    "button",
    { type: "button", onclick: open },
    spot(clips.genres, top),
    make("span", { class: "name", dir: "auto" }, answer.video_title),
    make("span", { class: "fine" }, simple ? say("history.open", { genre: top, share: percent(results[top]) }) : headline(answer)),
    make("span", { class: "fine" }, say(id ? "history.video" : "history.file")),
  );
}

/** Forget everything. */
export function forget() {
  localStorage.removeItem(STORE);
}
