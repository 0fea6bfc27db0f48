// How far a track is: the stages that the server tells of, and the way to stop it.
import { $, make, show, visit } from "./dom.js";
import { percent, say } from "./text.js";

const STAGES = {
  video: ["accepted", "downloading", "listening", "classifying"],
  file: ["uploading", "listening", "classifying"],
};
// Stages overlap: the server listens to what has arrived while more arrives. The one that is told as
// the present one is the first that has not come to its end.
const END = 0.97;
const NEXT = { accepted: 0, found: 1, uploading: 0, downloading: 1 };

/** The panel of one track at work: `kind` is video or file, `title` its heading. */
export class Work {
  #stages;
  #at = -1;
  #fractions = {};
  #kind;

  constructor(kind, title) {
    this.#kind = kind;
    this.#stages = STAGES[kind];
    $("work-title").textContent = title;
    $("stages").replaceChildren(
      ...this.#stages.map((stage) => make("li", {}, say(`work.${stage}`))),
    );
    $("work-says").textContent = "";
    $("work-bar").removeAttribute("value");
    const first = $("work").hidden;
    show($("work"));
    if (first) visit($("work-title")); // whoever is elsewhere by the next track stays there
    this.#reach(0);
  }

  /** Take in a progress event. */
  tell({ stage, fraction, video_title: title }) {
    if (title && this.#kind === "video") $("work-title").textContent = title;
    const step = this.#step(stage);
    if (step < this.#at) return;
    this.#fractions[step] = fraction ?? undefined;
    $("stages").children[step].dataset.done = fraction ? ` ${percent(100 * fraction)}` : "";
    const last = step === this.#stages.length - 1;
    if (step > this.#at && (last || !(this.#fractions[this.#at] < END))) this.#reach(step);
    const bar = $("work-bar");
    const now = this.#fractions[this.#at];
    if (now === undefined) bar.removeAttribute("value");
    else bar.value = now;
  }

  #step(stage) {
    const named = this.#stages.indexOf(stage);
    if (named >= 0) return named;
    // A file's own `downloading` is the end of its upload.
    return this.#kind === "file" ? 0 : NEXT[stage];
  }

  #reach(step) {
    this.#at = step;
    [...$("stages").children].forEach((item, n) => {
      item.className = n < step ? "past" : n === step ? "now" : "";
      if (n === step) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      if (n < step) item.dataset.done = "";
    });
    // Only a new stage is read out, not every percent.
    $("work-says").textContent = say(`work.${this.#stages[step]}`);
  }

  /** Say that it can't go on yet. */
  hold(words) {
    $("stages").replaceChildren(make("li", { class: "now" }, words));
    $("work-bar").removeAttribute("value");
  }

  /** Take the panel away. */
  static end() {
    show($("work"), false);
  }
}
