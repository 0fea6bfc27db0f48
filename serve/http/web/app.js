// The page: from links, files or a recording to their answers.
import { info, Problem, useKey, watchPage } from "./api.js";
import { $, make, show, spot, visit } from "./dom.js";
import { forget, showHistory, watchHistory } from "./history.js";
import { lock, setLink, watchFiles, watchLink } from "./inputs.js";
import { headline } from "./parts.js";
import { at, place, watchPlace } from "./place.js";
import { hideProblem, showProblem } from "./problem.js";
import { Round } from "./round.js";
import { fill, language, say } from "./text.js";
import { AWAY, waitForServer } from "./waiting.js";

// What a browser calls the reasons why there is no microphone.
const MICROPHONE = { NotFoundError: "missing", NotReadableError: "busy", AbortError: "busy", SecurityError: "insecure" };

let limits = {};
let round = null;
let sound = null;

/** Take tracks, each `{ id, url }` of a video or `{ file }`: they come after those under way. */
function take(...tracks) {
  if (round?.running) return round.add(tracks);
  clear();
  place(tracks.length === 1 ? tracks[0].id : null);
  round = new Round({ limits, onOpen: open, onAnswer: list });
  round.add(tracks);
  return work();
}

async function work() {
  lock(true);
  hideProblem();
  $("banner").textContent = "";
  try {
    await round.work();
  } finally {
    lock(false);
  }
  if (!round.left) await ended(round);
}

async function ended({ jobs: [first], alone, stopped, problem }) {
  if (alone && first.answer) return open(first);
  if (stopped) $("banner").textContent = say("work.cancelled");
  if (alone && stopped) place(null, { replace: true });
  if (!alone) visit($("queue-title"));
  else if (stopped) visit($("main"));
  return problem && failed(problem);
}

function failed(problem) {
  const again = () => {
    round.again();
    return work();
  };
  const unknown = problem.code === "unauthorized";
  showProblem(problem, problem.retryable || unknown ? again : null);
  if (AWAY.includes(problem.code)) waitForServer(() => $("retry")?.focus());
  if (unknown) askForKey(again);
}

/** Show an answer: of a job, or of the history. */
async function open({ answer, id, file }) {
  close();
  try {
    const [{ showAnswer }, { keepTimings }] = await Promise.all([import("./answer.js"), import("./about.js")]);
    if (file) sound = URL.createObjectURL(file);
    keepTimings(answer.timings_ms);
    place(id, { title: say("page.title", { what: headline(answer), track: answer.video_title }) });
    showAnswer(answer, { id, sound }, again);
  } catch (error) {
    console.error(error);
    showProblem({ code: "page", message: say("problem.page") });
  }
}

function close() {
  hideProblem();
  show($("answer"), false);
  $("answer").replaceChildren();
  document.body.classList.remove("answered");
  $("banner").textContent = "";
  if (sound) URL.revokeObjectURL(sound);
  sound = null;
}

function clear() {
  close();
  show($("queue"), false);
}

function again() {
  if (round?.running) close();
  else clear();
  place(null);
  setLink("");
  $("link").focus();
  scrollTo({ top: 0 });
}

async function fromAddress(id) {
  await round?.leave();
  if (at() !== id) return; // it changed again meanwhile
  setLink(id ? watchPage(id) : "");
  if (id) take({ url: watchPage(id) });
  else clear();
}

function list() {
  showHistory(({ id, answer }) => {
    if (id) setLink(watchPage(id));
    return open({ id, answer });
  });
}

function askForKey(onKey) {
  const dialog = $("key");
  $("key-value").value = "";
  // A dialog that closes gives the keyboard back to where it was: only then go on.
  dialog.onclose = () => {
    if (dialog.returnValue !== "use") return;
    useKey($("key-value").value);
    onKey();
  };
  dialog.returnValue = "";
  dialog.showModal();
}

async function record() {
  clear();
  place(null);
  const recorder = await import("./recorder.js");
  lock(true);
  let file = null;
  try {
    file = await recorder.record();
  } catch (error) {
    const why = MICROPHONE[error.name] ?? "denied";
    showProblem({ message: say(`mic.${why}`), code: why === "denied" ? "microphone" : `microphone_${why}` });
  } finally {
    lock(Boolean(round?.running));
  }
  if (file) await take({ file });
  else if (document.activeElement === $("main")) $("record").focus(); // where the recorder took it from
}

async function ask() {
  try {
    const { limits: found, genres } = await info();
    Object.assign(limits, found);
    $("genres").replaceChildren(...genres.map((genre) => make("li", {}, spot(genres, genre), genre)));
  } catch (error) {
    if (AWAY.includes(error.code)) waitForServer(ask);
    else if (error.code === "unauthorized") askForKey(ask);
  }
}

function cancel({ key = "Escape" }) {
  if (key === "Escape" && !document.querySelector("dialog[open]")) round?.stop();
}

document.documentElement.lang = language;
fill(document);
watchLink(take);
watchFiles((files) => take(...files.map((file) => ({ file }))));
$("record").addEventListener("click", record);
$("cancel").addEventListener("click", cancel);
addEventListener("keydown", cancel);
$("queue-again").addEventListener("click", () => { round.again(); work(); });
$("key-cancel").addEventListener("click", () => $("key").close());
$("history-clear").addEventListener("click", () => { forget(); list(); $("link").focus(); });
$("about-open").addEventListener("click", async () => (await import("./about.js")).openAbout());
watchPlace(fromAddress);
watchHistory(list);
list();
ask();
if (at()) fromAddress(at());
