// The ways in: a link that is checked while it is typed, and files that are picked, dropped, pasted.
import { check, Problem } from "./api.js";
import { $ } from "./dom.js";
import { say } from "./text.js";

const TYPING_MS = 250;
const LINK = "text/uri-list";
const DROPPED = ["Files", LINK, "text/plain"];

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
    if (video.id && !(video instanceof Problem)) {
      tell("", false);
      return onLink(video);
    }
    if (video instanceof Problem && ["unreachable", "unauthorized"].includes(video.code))
      return onLink({ url: field.value });
    field.focus();
  });
}

/** Fill the link's field, as if it had been typed. */
export function setLink(url) {
  $("link").value = url.replace(/\s+/g, " "); // a field drops line breaks, and glues what they part
  $("link-says").textContent = "";
}

/** Watch for files; `onFiles(files)` hears of those that come, whatever the way. */
export function watchFiles(onFiles) {
  const picker = $("file");
  $("pick").addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    if (picker.files.length) onFiles([...picker.files]);
    picker.value = ""; // the same file may be chosen again
  });

  const holds = (event) => DROPPED.some((type) => event.dataTransfer?.types.includes(type)) && !moves(event);
  // A text that is moved about within the field.
  const moves = ({ target, dataTransfer: { types } }) => target.closest?.("input") && !types.includes(LINK) && !types.includes("Files");
  let depth = 0;
  const over = (change) => {
    depth = change === 0 ? 0 : depth + change;
    $("drop").classList.toggle("over", depth > 0);
  };
  addEventListener("dragenter", (event) => holds(event) && over(1));
  addEventListener("dragleave", (event) => holds(event) && over(-1));
  addEventListener("dragover", (event) => holds(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    over(0);
    const { files } = event.dataTransfer;
    if (files.length) return onFiles([...files]);
    setLink(droppedLink(event.dataTransfer));
    $("link-form").requestSubmit();
  });

  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      onFiles([...event.clipboardData.files]);
    } else if (!event.target.closest("input")) {
      setLink(event.clipboardData.getData("text").trim());
      $("link").dispatchEvent(new Event("input"));
      $("link").focus();
    }
  });
}

// A list of addresses has comments (RFC 2483).
function droppedLink(data) {
  const links = data.getData(LINK).split(/[\r\n]+/).filter((line) => line && !line.startsWith("#"));
  return links.length ? links.join(" ") : data.getData("text/plain").trim();
}

/** Lock what has to wait while something is under way; files, and whatever is dropped, queue up. */
export function lock(locked) {
  if (locked) $("link-says").textContent = "";
  $("record").disabled = locked;
  $("link-form").querySelector("button").disabled = locked;
}
