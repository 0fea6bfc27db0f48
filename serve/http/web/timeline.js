// Genre over time: the charts, and the one place in the track that pointer and keyboard share.
import { watchPage } from "./api.js";
import { drawCharts } from "./charts.js";
import { colour, make, show, spot } from "./dom.js";
import { silentPieces } from "./mel.js";
import { otherPieces } from "./music.js";
import { parts } from "./parts.js";
import { clock, percent, say } from "./text.js";

const TOLD = 3;
const PAGE = 10;

/** The timeline of an answer: its element, and `draw` for when that is in the page. */
export function timeline(answer, id, player) {
  const { clip_s: clip, timeline: pieces, clips } = answer;
  const unnamed = unnamedPieces(answer);
  let charts;
  let at = 0;

  const readout = make("p", { class: "readout" });
  const hear = id
    ? make("a", { class: "button small", target: "_blank", rel: "noopener" })
    : make("button", { type: "button", class: "small", onclick: () => play() });
  const smooth = make("input", { type: "checkbox", id: "smooth", onchange: () => charts?.smooth(smooth.checked) });
  const stage = make("div", {
    class: answer.mel ? "charts mel" : "charts", id: "timeline", role: "slider", tabindex: "0", "aria-label": say("time.label"),
    "aria-valuemin": "0", "aria-valuemax": String(pieces.length - 1), onkeydown: steer,
  });

  const hint = make("p", { class: "fine" }, say("time.hint"));

  function shares(n) {
    return clips.percent[n]
      .map((share, g) => [clips.genres[g], share])
      .sort(([, a], [, b]) => b - a)
      .slice(0, TOLD)
      .filter(([, share], rank) => rank === 0 || share >= 5);
  }
  function span(n) {
    return { from: clock(n * clip), to: clock(Math.min((n + 1) * clip, answer.duration_s)) };
  }

  function tell(n) {
    at = n;
    const told = shares(n);
    const words = unnamed[n] ?? told.map(([g, s]) => `${g} ${percent(s)}`).join(", ");
    stage.setAttribute("aria-valuenow", String(n));
    stage.setAttribute("aria-valuetext", say("time.at", { ...span(n), shares: words }));
    readout.replaceChildren(
      make("b", {}, `${span(n).from}–${span(n).to}`),
      ...(unnamed[n] ? [unnamed[n]] : told.map(([g, s]) => make("span", {}, spot(clips.genres, g), `${g} ${percent(s)}`))),
    );
    const time = clock(n * clip);
    hear.textContent = say(id ? "time.hear.youtube" : "time.hear", { time });
    if (id) hear.href = `${watchPage(id)}&t=${Math.floor(n * clip)}s`;
    charts?.mark(n);
  }

  function play() {
    if (id) hear.click();
    else if (player && !player.error) {
      player.currentTime = at * clip;
      player.play().catch(() => {}); // its `error` event tells what it can't play
    }
  }
  function mute() {
    show(hear, false);
    hint.textContent = say("time.hint.mute");
    stage.setAttribute("aria-label", say("time.label.mute"));
  }

  function steer(event) {
    const last = pieces.length - 1;
    const moves = {
      ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1,
      PageUp: at + PAGE, PageDown: at - PAGE, Home: 0, End: last,
    };
    if (event.key in moves) tell(Math.min(last, Math.max(0, moves[event.key])));
    else if (event.key === "Enter" || event.key === " ") play();
    else return;
    event.preventDefault();
  }

  player?.addEventListener("error", mute);
  player?.addEventListener("timeupdate", () => {
    if (!player.paused) tell(Math.min(pieces.length - 1, Math.floor(player.currentTime / clip)));
  });

  const element = make(
    "section",
    { class: "time", "aria-labelledby": "time-title" },
    make(
      "div",
      { class: "heading" },
      make("h3", { id: "time-title" }, say("time.title")),
      make("label", { class: "switch", for: "smooth" }, smooth, say("time.smooth")),
    ),
    make("div", { class: "now" }, readout, hear),
    stage,
    hint,
    list(answer, unnamed),
  );
  if (!id && !player) mute();
  tell(0);
  return {
    element,
    async draw() {
      charts = await drawCharts(stage, answer, { onPoint: tell, onChoose: (n) => { tell(n); play(); } });
      charts.mark(at);
    },
  };
}

// For each piece what it is in place of a genre: silence, or something else than music.
function unnamedPieces(answer) {
  const others = otherPieces(answer);
  return silentPieces(answer).map((silent, n) => (silent && say("time.silent")) || (others[n] && say("time.other")) || null);
}

// The same in words: the parts where it changes, else neighbours of one genre together.
function list(answer, unnamed) {
  const { clip_s: clip, duration_s: duration, clips } = answer;
  const found = parts(answer);
  const rows = (found.length ? found : neighbours(answer, unnamed)).map(({ genre, name = genre, from, to }) =>
    make(
      "li",
      { class: genre ? colour(clips.genres, genre) : "" },
      make("span", { class: "when" }, say("time.stretch", { from: clock(from * clip), to: clock(Math.min(to * clip, duration)) })),
      genre ? spot(clips.genres, genre) : null,
      name,
    ),
  );
  return make("details", {}, make("summary", {}, say("time.list")), make("ol", { class: "stretches" }, ...rows));
}

function neighbours({ timeline: pieces }, unnamed) {
  const stretches = [];
  pieces.forEach(({ genre }, n) => {
    const name = unnamed[n] ?? genre;
    if (stretches.at(-1)?.name === name) stretches.at(-1).to = n + 1;
    else stretches.push({ name, from: n, to: n + 1, genre: unnamed[n] ? null : genre });
  });
  return stretches;
}
