// The ways in: a link that is checked while it is typed, and files that are picked, dropped, pasted.
import { check, Problem } from "./api.js";
import { $ } from "./dom.js";
import { say } from "./text.js";

const TYPING_MS = 250;

/** Watch the link's field; `onLink({ id, url })` hears of a link that was entered. */
export function watchLink(onLink) {
  const field = $("link");
  let timer;
  let checking = new AbortController();

  function tell(words, bad) {
    $("link-says").textContent = words;
    $("link-says").classList.toggle("bad", bad);
    field.setAttribute("aria-invalid", String(bad));
  }

  async function look() {
    checking.abort();
    checking = new AbortController();
    const { signal } = checking;
    try {
      const video = await check(field.value, signal);
      tell(say("link.good"), false);
      return video;
    } catch (error) {
      // A server that can't be reached says so when it is asked in earnest.
      const theirs = error instanceof Problem && error.code !== "unreachable";
      if (!signal.aborted) tell(theirs ? error.message : "", theirs);
      return error;
    }
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    checking.abort();
    tell("", false);
    if (field.value.trim()) timer = setTimeout(look, TYPING_MS);
  });
  $("link-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(timer);
    if (!field.value.trim()) return tell(say("link.empty"), true);
    const video = await look();
    if (video.id && !(video instanceof Problem)) return onLink(video);
    if (video instanceof Problem && ["unreachable", "unauthorized"].includes(video.code))
      return onLink({ url: field.value });
    field.focus();
  });
}

/** Fill the link's field, as if it had been typed. */
export function setLink(url) {
  $("link").value = url;
  $("link-says").textContent = "";
}

/** Watch for files; `onFile(file)` hears of each that comes, whatever the way. */
export function watchFiles(onFile) {
  const picker = $("file");
  $("pick").addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    if (picker.files.length) onFile(picker.files[0]);
    picker.value = ""; // the same file may be chosen again
  });

  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  const over = (change) => {
    depth = change === 0 ? 0 : depth + change;
    $("drop").classList.toggle("over", depth > 0);
  };
  addEventListener("dragenter", (event) => holdsFile(event) && over(1));
  addEventListener("dragleave", (event) => holdsFile(event) && over(-1));
  addEventListener("dragover", (event) => holdsFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    over(0);
    if (event.dataTransfer.files.length) onFile(event.dataTransfer.files[0]);
  });

  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      onFile(event.clipboardData.files[0]);
    } else if (!event.target.closest("input")) {
      setLink(event.clipboardData.getData("text").trim());
      $("link").dispatchEvent(new Event("input"));
      $("link").focus();
    }
  });
}

/** Lock the ways in while something is under way. */
export function lock(locked) {
  if (locked) $("link-says").textContent = "";
  for (const id of ["pick", "record"]) $(id).disabled = locked;
  $("link-form").querySelector("button").disabled = locked;
}
