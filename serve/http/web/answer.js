// The answer: what it is, how sure that is, every genre, and the tools around it.
import { watchPage } from "./api.js";
import { asCsv, asJson, save } from "./downloads.js";
import { $, colour, make, show, visit } from "./dom.js";
import { isMusic, otherPieces } from "./music.js";
import { changes, headline, parts } from "./parts.js";
import { silentPieces } from "./mel.js";
import { clock, exactly, lasting, percent, say } from "./text.js";
import { timeline } from "./timeline.js";

const SURE = 55;
const UNSURE = 35;
const FEW_PIECES = 3;
const SURE_PIECE = 0.55;

/** How sure an answer is, in words: `sure`, `leaning`, `unsure`, or `other` where it is not music. */
export function certainty({ results, top_prediction: top, music }) {
  if (!isMusic({ music })) return "other";
  if (results[top] >= SURE) return "sure";
  return results[top] >= UNSURE ? "leaning" : "unsure";
}

/**
 * Show an answer. `source` is where its sound is: `{ id }` of a video, `{ sound }` an address that
 * the browser can play, or nothing. `onAgain` is called when another is wanted.
 */
export function showAnswer(answer, source, onAgain) {
  const found = parts(answer);
  const kind = found.length ? "mix" : certainty(answer);
  const player = source.sound && make("audio", { controls: true, src: source.sound, "aria-label": say("answer.player") });
  player?.addEventListener("error", () => {
    show(player, false);
    player.after(make("p", { class: "note", role: "status" }, say("answer.unplayable")));
  });
  const chart = timeline(answer, source.id, player);
  $("answer").replaceChildren(
    make(
      "div",
      { class: `verdict ${colour(answer.clips.genres, answer.top_prediction)}` },
      make("p", { class: "track", dir: "auto" }, answer.video_title),
      make("h2", { id: "answer-title", tabindex: "-1", class: kind }, headline(answer)),
      make("p", { class: "sentence" }, kind === "mix" ? changes(found, answer) : sentence(answer, kind)),
      ...(kind === "other" ? [] : soundsLike(answer)),
      ...notes(answer, kind).map((note) => make("p", { class: "note" }, note)),
    ),
    ...(player ? [make("div", { class: "player" }, player)] : []),
    make("h3", {}, say("answer.genres")),
    ranking(answer),
    chart.element,
    ...(source.id || player ? [] : [make("p", { class: "fine" }, say("answer.gone"))]),
    tools(answer, source, onAgain),
    make("p", { class: "fine" }, took(answer)),
  );
  document.body.classList.add("answered");
  show($("answer"));
  chart.draw();
  visit($("answer-title"));
}

function sentence({ results, top_prediction: genre, tags = [] }, kind) {
  const [, [second, other] = ["", 0]] = Object.entries(results);
  const values = { genre, second, share: percent(results[genre]), other: percent(other) };
  if (kind !== "other") return say(`answer.${kind}`, values);
  return tags.length ? say("answer.other.sound", { sound: tags[0].tag.toLowerCase() }) : say("answer.other");
}

// What it is beyond the genres: the network knows more kinds of music than those it chooses from.
function soundsLike({ tags = [] }) {
  if (!tags.length) return [];
  const names = tags.map(({ tag, probability }) => make("li", { title: percent(100 * probability) }, tag));
  return [make("div", { class: "tags" }, say("answer.tags"), make("ul", {}, ...names))];
}

function notes(answer, kind) {
  const { timeline: pieces, clips, clip_s: clip } = answer;
  const silences = silentPieces(answer);
  const silent = silences.filter(Boolean).length;
  const others = otherPieces(answer).filter((other, n) => other && !silences[n]).length;
  return [
    ...(answer.warnings ?? []),
    kind === "unsure" && say(surePieces(pieces) ? "answer.unsure.pieces" : "answer.unsure.why", { count: clips.genres.length }),
    kind === "other" && say("answer.other.why", { genre: answer.top_prediction }),
    kind !== "other" && others > 0 && say("answer.others", { time: clock(others * clip) }),
    silent > 0 && say("answer.silence", { time: clock(silent * clip) }),
    pieces.length === 1 && say("answer.piece"),
    pieces.length > 1 && pieces.length <= FEW_PIECES && say("answer.short", { count: pieces.length }),
  ].filter(Boolean);
}

const surePieces = (pieces) => pieces.reduce((sum, { confidence }) => sum + confidence, 0) >= SURE_PIECE * pieces.length;

function ranking({ results, clips }) {
  const most = Math.max(...Object.values(results));
  const rows = Object.entries(results).map(([genre, share]) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", share / most);
    return make(
      "li",
      { class: colour(clips.genres, genre) },
      make("span", { class: "name" }, genre),
      bar,
      make("span", { class: "share" }, exactly(share)),
    );
  });
  return make("ol", { class: "ranking" }, ...rows);
}

function tools(answer, { id }, onAgain) {
  const button = (name, onclick, properties = {}) =>
    make("button", { type: "button", onclick, ...properties }, say(`answer.${name}`));
  const title = answer.video_title;
  const copied = make("span", { class: "says", role: "status" });
  const link = new URL(`?v=${id}`, document.baseURI).href;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      copied.textContent = say("answer.copied");
    } catch {
      copied.textContent = say("answer.uncopied", { link });
    }
  };
  return make(
    "div",
    { class: "buttons" },
    button("again", onAgain, { class: "main" }),
    button("json", () => save(asJson(answer), title, "json", "application/json")),
    button("csv", () => save(asCsv(answer), title, "csv", "text/csv")),
    ...(id
      ? [
          button("link", copy),
          make("a", { class: "button", href: watchPage(id), target: "_blank", rel: "noopener" }, say("answer.youtube")),
          copied,
        ]
      : []),
  );
}

function took({ duration_s: duration, timings_ms: timings, cached }) {
  if (cached) return say("answer.cached");
  return say("answer.took", { duration: clock(duration), time: lasting(timings.total / 1000) });
}
