// The parts of a track that changes genre, as a mix does: the same as in `serve/genre_parts.py`.
import { isMusic } from "./music.js";
import { clock, say } from "./text.js";

// How much better, in nats, another genre has to explain a stretch for the track to have changed to
// it: some ten seconds of clips that are sure of it.
const CHANGE = 16;
// No clip is believed more than this against another genre.
const LEAST_SHARE = 0.05;
// A part is sure from this mean share of its genre on, and so much of the track has to be sure.
const SURE = 0.3;
const SURE_TIME = 0.75;
// Parts that are told one by one.
const TOLD = 4;

/**
 * The parts of an answer's track, `{ genre, from, to, sure }` in pieces, in order; none where it does
 * not surely change.
 *
 * They are the likeliest sequence of genres that changes rarely (Viterbi's), given what each piece says.
 */
export function parts(answer) {
  const { timeline, results } = answer;
  if (!isMusic(answer)) return [];
  const others = Math.max(1, Object.keys(results).length - 1);
  const genres = [...new Set(timeline.map(({ genre }) => genre))];
  const rows = timeline.map(({ genre, confidence }) => genres.map((g) => (g === genre ? confidence : (1 - confidence) / others)));
  const found = joined(rows, likeliest(rows, timeline.map(({ music = 1 }) => music)));
  const sure = found.filter((part) => part.sure);
  const changes = new Set(sure.map(({ genre }) => genre)).size > 1;
  const time = sure.reduce((sum, { from, to }) => sum + to - from, 0);
  return changes && time >= SURE_TIME * timeline.length ? found.map((part) => ({ ...part, genre: genres[part.genre] })) : [];
}

/** What an answer says the track is, in a word or few. */
export function headline(answer) {
  if (!isMusic(answer)) return say("answer.other.title");
  const found = parts(answer);
  if (!found.length) return answer.top_prediction;
  return found.length > 2 ? say("mix.title") : say("mix.title.two", { first: found[0].genre, second: found[1].genre });
}

/** How a track changes genre, as a sentence; `found` are its parts. */
export function changes(found, { clip_s: clip }) {
  const genres = [...new Set(found.map(({ genre }) => genre))].join(", ");
  if (found.length > TOLD) return say("mix.often", { count: found.length - 1, genres });
  const until = found.slice(0, -1).map(({ genre, to }) => say("mix.until", { genre, time: clock(to * clip) }));
  return say("mix.sentence", { until: until.join(say("mix.then")), last: found.at(-1).genre });
}

// Neighbours of one genre together.
function joined(rows, path) {
  const found = [];
  path.forEach((genre, n) => {
    if (found.at(-1)?.genre === genre) found.at(-1).to = n + 1;
    else found.push({ genre, from: n, to: n + 1 });
  });
  for (const part of found) {
    const shares = rows.slice(part.from, part.to).map((row) => row[part.genre]);
    part.sure = shares.reduce((sum, share) => sum + share, 0) >= SURE * shares.length;
  }
  return found;
}

function likeliest(rows, weights) {
  // By genre: the best way to the piece that ends with it, and the genre before on that way.
  let best = rows[0].map(() => 0);
  const before = rows.map((row, n) => {
    const lead = best.indexOf(Math.max(...best));
    const changed = best[lead] - CHANGE;
    const came = best.map((way, g) => (way >= changed ? g : lead));
    best = row.map((share, g) => Math.max(best[g], changed) + weights[n] * Math.log(Math.max(LEAST_SHARE, share)));
    return came;
  });
  const path = [best.indexOf(Math.max(...best))];
  for (const came of before.slice(1).reverse()) path.push(came[path.at(-1)]);
  return path.reverse();
}
