// A few seconds from the microphone, as a file.
import { $, make, show, visit } from "./dom.js";
import { clock, say } from "./text.js";

const LONGEST_S = 12;
const BARS = 24;

/**
 * Record until it is stopped or long enough; null where it was discarded. Throws as getUserMedia
 * does, or a SecurityError where the browser gives a page without HTTPS no microphone at all.
 */
export async function record() {
  if (!navigator.mediaDevices) throw new DOMException("no microphone without HTTPS", "SecurityError");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext();
  try {
    return await take(stream, context);
  } finally {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
    show($("recorder"), false);
  }
}

function take(stream, context) {
  const recorder = new MediaRecorder(stream);
  const parts = [];
  const meter = levels(stream, context);
  const started = performance.now();
  let kept = true;

  show($("recorder"));
  visit($("recorder-title"));
  const tick = setInterval(() => {
    const left = LONGEST_S - (performance.now() - started) / 1000;
    $("recorder-time").textContent = say("mic.left", { seconds: Math.max(0, Math.ceil(left)) });
    meter();
    if (left <= 0) stop(true);
  }, 60);

  function stop(keep) {
    kept = keep;
    if (recorder.state !== "inactive") recorder.stop();
  }
  const listening = new AbortController();
  const heed = (id, keep) =>
    $(id).addEventListener("click", () => stop(keep), { signal: listening.signal });
  heed("recorder-stop", true);
  heed("recorder-drop", false);
  addEventListener("keydown", (event) => event.key === "Escape" && stop(false), { signal: listening.signal });

  return new Promise((resolve, reject) => {
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onerror = ({ error }) => reject(error);
    recorder.onstop = () => {
      const seconds = (performance.now() - started) / 1000;
      const name = say("mic.name", { time: clock(seconds) });
      resolve(kept ? new File(parts, name, { type: recorder.mimeType }) : null);
    };
    recorder.start();
  }).finally(() => {
    clearInterval(tick);
    listening.abort();
  });
}

// A function that draws how loud it is now, as bars.
function levels(stream, context) {
  const analyser = new AnalyserNode(context, { fftSize: 1024, smoothingTimeConstant: 0.6 });
  context.createMediaStreamSource(stream).connect(analyser);
  const bins = new Uint8Array(analyser.frequencyBinCount);
  const bars = Array.from({ length: BARS }, () => make("i"));
  $("level").replaceChildren(...bars);
  return () => {
    analyser.getByteFrequencyData(bins);
    bars.forEach((bar, n) => {
      const at = Math.floor((bins.length / 2) ** (n / BARS));
      bar.style.setProperty("--level", (bins[at] / 255).toFixed(3));
    });
  };
}
