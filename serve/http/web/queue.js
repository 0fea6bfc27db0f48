// Several tracks: a row for each, and all their answers as a file.
import { allAsCsv, allAsJson, save } from "./downloads.js";
import { $, make, show } from "./dom.js";
import { entryButton } from "./history.js";
import { say } from "./text.js";

const FILES = [["json", allAsJson, "application/json"], ["csv", allAsCsv, "text/csv"]];

/** A track on its way, `{ id, url }` of a video or `{ file }`; `state` is its row's class. */
export class Job {
  state = "waiting";
  answer = null;
  problem = null;
  tries = 0;
  row = make("li");
  #open;

  /** `open(job)` is called when its answer is chosen. */
  constructor(track, open) {
    this.track = track;
    this.#open = open;
    this.wait();
  }

  get id() {
    return this.track.id;
  }
  get file() {
    return this.track.file;
  }
  get name() {
    return this.file?.name ?? this.track.url;
  }
  /** Whether another try may give an answer. */
  get unfinished() {
    return this.state === "stopped" || Boolean(this.problem && (this.problem.retryable || this.problem.code === "unauthorized"));
  }

  wait() {
    this.#be("waiting");
  }
  /** As `wait`, with all its tries. */
  renew() {
    this.tries = 0;
    this.wait();
  }
  start() {
    this.tries += 1;
    this.problem = null;
    this.#be("working");
  }
  stop() {
    this.problem = null;
    this.#be("stopped");
  }
  fail(problem) {
    this.problem = problem;
    this.#be("failed", problem.message || say("problem.unreachable"));
  }
  end(answer) {
    this.answer = answer;
    this.state = "done";
    this.row.className = this.state;
    this.row.replaceChildren(entryButton(this, () => this.#open(this)));
  }

  #be(state, words = say(`queue.${state}`)) {
    this.state = state;
    this.row.className = state;
    this.row.replaceChildren(make("span", { class: "name", dir: "auto" }, this.name), make("span", { class: "fine" }, words));
  }
}

/** Show all of a round, if they are more than one. */
export function showQueue(jobs, running) {
  const answered = jobs.filter(({ answer }) => answer).length;
  $("queue-title").textContent = say("queue.title", { answered, count: jobs.length });
  const rows = $("queue-list");
  if (rows.firstChild !== jobs[0].row) rows.replaceChildren();
  rows.append(...jobs.map(({ row }) => row).filter((row) => row.parentElement !== rows));
  show($("queue-again"), !running && jobs.some(({ unfinished }) => unfinished));
  for (const [kind, text, type] of FILES) {
    const button = $(`queue-${kind}`);
    button.onclick = () => save(text(jobs), say("queue.name"), kind, type);
    show(button, answered > 0);
  }
  show($("queue"), jobs.length > 1);
}
