// The page: from a link, a file or a recording to its answer.
import { check, info, predict, Problem, readable, useKey, watchPage } from "./api.js";
import { $, make, show, spot, visit } from "./dom.js";
import { forget, remember, showHistory, watchHistory } from "./history.js";
import { isMusic } from "./music.js";
import { lock, setLink, watchFiles, watchLink } from "./inputs.js";
import { hideProblem, showProblem } from "./problem.js";
import { fill, language, say } from "./text.js";
import { waitForServer } from "./waiting.js";
import { Work } from "./work.js";

const AWAY = ["unreachable", "not_ready", "shutting_down"];
const MIB = 2 ** 20;
// What a browser calls the reasons why there is no microphone.
const MICROPHONE = { NotFoundError: "missing", NotReadableError: "busy", AbortError: "busy", SecurityError: "insecure" };

let limits = {};
let running = null;
let sound = null;

/** Answer a track, `{ id, url }` of a video or `{ file }`, and show whatever comes of it. */
async function run(track) {
  if (running) return;
  const { file } = track;
  clear();
  if (file && file.size > limits.max_body_bytes) return showProblem(tooLarge(file));
  const work = new Work(file ? "file" : "video", file ? say("work.file", { name: file.name }) : say("work.video"));
  running = new AbortController();
  lock(true);
  try {
    if (file) await readable(file);
    // Typed while the server was away: only now can it be told which video it is.
    if (!file && !track.id) track = await check(track.url, running.signal);
    const asked = predict(track, { signal: running.signal, onProgress: (event) => work.tell(event) });
    const answer = await asked;
    if (file) sound = URL.createObjectURL(file);
    await answered(answer, track.id);
    remember(answer, track.id);
    list();
  } catch (error) {
    failed(error, track);
  } finally {
    work.end();
    lock(false);
    running = null;
  }
}

async function answered(answer, id) {
  const [{ showAnswer }, { keepTimings }] = await Promise.all([import("./answer.js"), import("./about.js")]);
  keepTimings(answer.timings_ms);
  const what = isMusic(answer) ? answer.top_prediction : say("answer.other.title");
  address(id);
  document.title = `${what} · ${answer.video_title} · topgenre`;
  $("work").hidden = true;
  showAnswer(answer, { id, sound }, again);
}

function failed(error, track) {
  if (error.name === "AbortError") {
    $("banner").textContent = say("work.cancelled");
    visit($("main"));
    return;
  }
  if (!(error instanceof Problem)) throw error;
  const away = AWAY.includes(error.code);
  const retry = error.retryable || error.code === "unauthorized" ? () => run(track) : null;
  showProblem(error, retry);
  if (away) waitForServer(() => $("retry")?.focus());
  if (error.code === "unauthorized") askForKey(() => run(track));
}

function tooLarge(file) {
  const values = { size: Math.ceil(file.size / MIB), limit: Math.floor(limits.max_body_bytes / MIB) };
  return { code: "too_big", message: say("file.large", values) };
}

function clear() {
  hideProblem();
  show($("answer"), false);
  $("answer").replaceChildren();
  document.body.classList.remove("answered");
  $("banner").textContent = "";
  if (sound) URL.revokeObjectURL(sound);
  sound = null;
}

function again() {
  clear();
  address(null);
  setLink("");
  $("link").focus();
  scrollTo({ top: 0 });
}

// A video's answer has an address of its own.
function address(id) {
  const search = id ? `?v=${id}` : location.pathname;
  if (new URLSearchParams(location.search).get("v") !== (id ?? null)) history.pushState(null, "", search);
  if (!id) document.title = "topgenre";
}

async function fromAddress() {
  const id = new URLSearchParams(location.search).get("v");
  if (!id) return clear();
  const url = watchPage(id);
  setLink(url);
  return run({ url });
}

function list() {
  showHistory(async ({ id, answer }) => {
    if (running) return;
    clear();
    if (id) setLink(watchPage(id));
    await answered(answer, id);
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
  const recorder = await import("./recorder.js");
  lock(true);
  let file = null;
  try {
    file = await recorder.record();
  } catch (error) {
    const why = MICROPHONE[error.name] ?? "denied";
    showProblem({ message: say(`mic.${why}`), code: why === "denied" ? "microphone" : `microphone_${why}` });
  } finally {
    lock(false);
  }
  if (file) await run({ file });
  else if (document.activeElement === $("main")) $("record").focus(); // where the recorder took it from
}

async function ask() {
  try {
    const { limits: found, genres } = await info();
    limits = found;
    $("genres").replaceChildren(...genres.map((genre) => make("li", {}, spot(genres, genre), genre)));
  } catch (error) {
    if (AWAY.includes(error.code)) waitForServer(ask);
    else if (error.code === "unauthorized") askForKey(ask);
  }
}

document.documentElement.lang = language;
fill(document);
watchLink(run);
watchFiles((file) => run({ file }));
$("record").addEventListener("click", record);
$("cancel").addEventListener("click", () => running?.abort());
$("key-cancel").addEventListener("click", () => $("key").close());
$("history-clear").addEventListener("click", () => { forget(); list(); $("link").focus(); });
$("about-open").addEventListener("click", async () => (await import("./about.js")).openAbout());
addEventListener("popstate", fromAddress);
watchHistory(list);
list();
ask();
if (location.search) fromAddress();
