// How it works: what `/info` says, in words.
import { info } from "./api.js";
import { $, make } from "./dom.js";
import { known, lasting, number, percent, say } from "./text.js";

let last;
/** Keep the times of the newest answer, to be told here. */
export const keepTimings = (timings) => { last = timings; };

/** Open the drawer. */
export async function openAbout() {
  const close = make("button", { type: "button", class: "quiet", onclick: () => $("about").close() }, say("about.close"));
  const head = make("div", { class: "heading" }, make("h2", { id: "about-title" }, say("about.title")), close);
  const body = make("div", {}, make("p", {}, say("about.loading")));
  $("about").replaceChildren(head, body);
  $("about").showModal();
  try {
    body.replaceChildren(...told(await info()));
  } catch (error) {
    body.replaceChildren(make("p", {}, error.message || say("problem.unreachable")));
  }
}

function told({ model, genres, clip_s: clip, provider, limits, versions }) {
  const valid = model.scores.valid ?? {};
  const right = {
    tracks: share(valid.track_accuracy),
    clips: share(valid.clip_accuracy),
    count: valid.tracks ?? "",
  };
  const honest = [
    say("about.limit.closed", { genres: genres.join(", ") }),
    ...(valid.track_accuracy === undefined ? [] : [say("about.limit.right", right)]),
    say("about.limit.labels"),
  ];
  const where = `about.provider.${provider}`;
  return [
    make("p", {}, say("about.way", { clip: number(clip), count: genres.length })),
    make("h3", {}, say("about.honest")),
    make("ul", {}, ...honest.map((line) => make("li", {}, line))),
    make("h3", {}, say("about.model")),
    facts({
      name: `${model.name} ${model.version}`,
      data: [model.training.about, model.training.data].filter(Boolean).join("; "),
      accuracy: valid.track_accuracy === undefined ? "" : say("about.accuracy.value", right),
      licence: model.licence,
    }),
    make("h3", {}, say("about.server")),
    facts({
      provider: known(where) ? say(where) : provider,
      limits: say("about.limits.value", {
        length: lasting(limits.max_duration_s),
        size: number(limits.max_body_bytes / 2 ** 20),
        time: lasting(limits.deadline_s),
      }),
      timings: last ? Object.entries(last).map(([stage, time]) => say("about.timings.value", { stage, time: number(time) })).join(", ") : "",
      versions: Object.entries(versions).map((pair) => pair.join(" ")).join(", "),
    }),
    make("p", { class: "fine" }, say("about.thanks")),
  ];
}

const share = (fraction) => (fraction === undefined ? "" : percent(100 * fraction));

function facts(values) {
  const rows = Object.entries(values).filter(([, value]) => value);
  return make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, say(`about.${name}`)), make("dd", {}, value)]));
}
