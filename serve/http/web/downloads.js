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
  return table([head, ...rows]);
}

/** The answers of all jobs that came to an end, as the lines of a batch. */
export function allAsJson(jobs) {
  return JSON.stringify(jobs.map(line).filter(Boolean), null, 2);
}

function line({ name, track, answer, problem }, index) {
  const which = { index, ...(track.file ? { name } : { url: track.url }) };
  if (answer) return { ...which, ...JSON.parse(asJson(answer)) };
  return problem && { ...which, error: problem.message, code: problem.code, retryable: problem.retryable };
}

/** A row for each track: what it is, every genre in percent, or why there is no answer. */
export function allAsCsv(jobs) {
  const { genres } = jobs.find(({ answer }) => answer).answer.clips;
  const about = ["video_title", "top_prediction", "music", "duration_s"];
  const rows = jobs.map(({ name, answer, problem }) => [
    name,
    ...about.map((column) => answer?.[column]),
    ...genres.map((genre) => answer?.results[genre]),
    problem?.code,
    problem?.message,
  ]);
  return table([["track", ...about, ...genres.map((genre) => `${genre}_percent`), "code", "error"], ...rows]);
}

const table = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n"; // RFC 4180

function cell(value) {
  const text = typeof value === "string" ? harmless(value) : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// A spreadsheet takes what begins like this for a formula.
const harmless = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

/** Have the browser save a text under a name made of the track's title. */
export function save(text, title, suffix, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const name = title.replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ").trim().slice(0, 80) || "track";
  make("a", { href: url, download: `${name}.${suffix}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
