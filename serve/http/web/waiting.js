// Waiting for a server that has gone away.
import { ready } from "./api.js";
import { $ } from "./dom.js";
import { say } from "./text.js";

/** What is said, or not, by a server that has gone away. */
export const AWAY = ["unreachable", "not_ready", "shutting_down"];
const PAUSES_MS = [500, 1000, 2000, 5000];
const SHOWN_MS = 4000;
let waiting = false;

function pause(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", resolve, { once: true });
  });
}

/** Call `tell(left)` every second until none is left; resolves to whether it came to that. */
export async function countdown(seconds, tell, signal) {
  const end = performance.now() + 1000 * seconds;
  for (let left = seconds; left > 0 && !signal.aborted; left = (end - performance.now()) / 1000) {
    tell(Math.ceil(left));
    await pause(Math.min(1000, 1000 * left), signal);
  }
  return !signal.aborted;
}

/** Ask again and again until the server takes tracks; then call `onBack`. */
export async function waitForServer(onBack) {
  if (waiting) return;
  waiting = true;
  const banner = $("banner");
  banner.textContent = say("server.gone");
  for (let n = 0; !(await ready()); n += 1)
    await pause(PAUSES_MS[Math.min(n, PAUSES_MS.length - 1)]);
  waiting = false;
  banner.textContent = say("server.back");
  onBack();
  await pause(SHOWN_MS);
  if (!waiting) banner.textContent = "";
}
