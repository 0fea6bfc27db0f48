// Tracks that are answered one after the other: what is under way, what comes next, how each ended.
import { check, predict, Problem, readable } from "./api.js";
import { $ } from "./dom.js";
import { Job, showQueue } from "./queue.js";
import { remember } from "./history.js";
import { lasting, say } from "./text.js";
import { AWAY, countdown } from "./waiting.js";
import { Work } from "./work.js";

const MOST = 200;
const MIB = 2 ** 20;
// After these nothing that comes next can fare better.
const ENDING = [...AWAY, "unauthorized"];
const TRIES = 10;
// After these a track is tried once more by itself: asking twice does no harm, and another server,
// or this one when it is back, may answer.
const PASSING = [...AWAY, "overloaded", "youtube_error"];
const AGAIN_S = 1;
const SOON_S = 5;

export class Round {
  jobs = [];
  running = false;
  #settings;
  #aborter = new AbortController();
  #done = Promise.resolve();

  /** `onOpen(job)` is called when an answer is chosen, `onAnswer()` when there is one more. */
  constructor(settings) {
    this.#settings = settings;
  }

  /** Whether it is of one track. */
  get alone() {
    return this.jobs.length === 1;
  }
  /** Whether it was stopped before its end. */
  get stopped() {
    return this.#aborter.signal.aborted;
  }
  /** Whether nobody wants to know of it any more. */
  get left() {
    return this.#aborter.signal.reason?.message === "left";
  }
  /** What went wrong, if that ended it. */
  get problem() {
    const ending = ({ problem }) => problem && (this.alone || ENDING.includes(problem.code));
    return this.jobs.find(ending)?.problem;
  }

  /** Add tracks at the end; what is too much is left out, and says so. */
  add(tracks) {
    const taken = tracks.slice(0, MOST - this.jobs.length);
    this.jobs.push(...taken.map((track) => new Job(track, this.#settings.onOpen)));
    $("queue-note").textContent = taken.length < tracks.length ? say("queue.full", { count: MOST }) : "";
    this.#show();
  }

  /** Have another try at everything without an answer that another try may give one. */
  again() {
    this.#aborter = new AbortController();
    for (const job of this.jobs) if (job.unfinished) job.renew();
    this.#show();
  }

  /** Answer what waits, one track after the other, until all is done or it is stopped. */
  work() {
    this.#done = this.#work();
    return this.#done;
  }

  async #work() {
    this.running = true;
    try {
      for (let job; (job = this.jobs.find(({ state }) => state === "waiting")); ) {
        await this.#answer(job);
        if (this.stopped || (job.state === "failed" && ENDING.includes(job.problem.code))) break;
      }
    } finally {
      this.running = false;
      Work.end();
      for (const job of this.jobs) if (job.state === "waiting") job.stop();
      this.#show();
    }
  }

  /** Stop. */
  stop() {
    if (this.running) this.#aborter.abort();
  }

  /** Stop because the page is to show something else; resolves when nothing goes on any more. */
  async leave() {
    if (this.running) this.#aborter.abort(new DOMException("left", "AbortError"));
    await this.#done;
  }

  async #answer(job) {
    const { signal } = this.#aborter;
    const work = new Work(job.file ? "file" : "video", job.file ? say("work.file", { name: job.name }) : say("work.video"));
    job.start();
    this.#show();
    try {
      await this.#look(job, signal);
      job.end(await predict(job.track, { signal, onProgress: (event) => work.tell(event) }));
      remember(job.answer, job.id);
      this.#settings.onAnswer();
    } catch (error) {
      if (error.name === "AbortError") return job.stop();
      if (!(error instanceof Problem)) throw error;
      job.fail(error);
      const wait = this.#pause(job);
      if (wait) {
        const words = error.message || say("problem.unreachable");
        const tell = (left) => work.hold(`${words} ${say("queue.wait", { time: lasting(left) })}`);
        if (await countdown(wait, tell, signal)) job.wait();
        else job.stop();
      }
    }
    return this.#show();
  }

  // Seconds until a failed track is tried again by itself; 0 if it isn't.
  #pause({ tries, problem: { code, wait } }) {
    if (!this.alone && wait) return tries < TRIES ? wait : 0;
    return tries === 1 && PASSING.includes(code) && !(wait > SOON_S) ? wait || AGAIN_S : 0;
  }

  // What can be known without sending anything.
  async #look({ track }, signal) {
    const { file } = track;
    if (!file) {
      // Typed while the server was away: only now can it be told which video it is.
      if (!track.id) Object.assign(track, await check(track.url, signal));
      return;
    }
    const limit = this.#settings.limits.max_body_bytes;
    if (file.size > limit) {
      const values = { size: Math.ceil(file.size / MIB), limit: Math.floor(limit / MIB) };
      throw new Problem({ code: "too_big", error: say("file.large", values), retryable: false });
    }
    await readable(file);
  }

  #show() {
    showQueue(this.jobs, this.running);
  }
}
