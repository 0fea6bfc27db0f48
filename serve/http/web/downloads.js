// An answer as a file.
import { make } from "./dom.js";

/** The answer as it came, without what was only for the page. */
export function asJson(answer) {
  const { mel, silent, ...rest } = answer;
  return JSON.stringify(rest, null, 2);
}

/** A row for each piece: its start, genre and confidence, whether it is music, every genre in percent. */
export function asCsv({ timeline, clips }) {
  const head = ["start_s", "genre", "confidence", "music", ...clips.genres.map((genre) => `${genre}_percent`)];
  const rows = timeline.map(({ start, genre, confidence, music }, n) => [
    start,
    genre,
    confidence,
    music,
    ...clips.percent[n],
  ]);
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n"; // RFC 4180
}

function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Have the browser save a text under a name made of the track's title. */
export function save(text, title, suffix, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const name = title.replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ").trim().slice(0, 80) || "track";
  make("a", { href: url, download: `${name}.${suffix}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
