// The two charts of a track, one under the other, drawn by uPlot: genre shares, and the spectrogram.
import { paint } from "./mel.js";
import { make } from "./dom.js";
import { clock, say } from "./text.js";

const HEIGHT = 220;
const MEL_HEIGHT = 110;
const AXIS = 50;
const TICKS = 22;
// Pieces on each side whose mean a smoothed one is.
const REACH = 2;

let loading;
function library() {
  // Large, and needed by nobody who has not asked yet.
  const style = make("link", { rel: "stylesheet", href: new URL("vendor/uplot.css", import.meta.url) });
  loading ??= Promise.all([
    import("./vendor/uplot.js"),
    new Promise((resolve) => {
      style.onload = style.onerror = resolve;
      document.head.append(style);
    }),
  ]).then(([module]) => module.default);
  return loading;
}

/** Draw into `stage`; `mark(n)` marks a piece, `smooth(on)` chooses how the shares are drawn. */
export async function drawCharts(stage, answer, { onPoint, onChoose }) {
  const uPlot = await library();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let smoothed = false;
  let marked = 0;
  let plots = [];

  function draw() {
    for (const plot of plots) plot.destroy();
    const style = getComputedStyle(stage);
    // A new plot knows its places only when it is ready.
    const context = { uPlot, answer, style, width: stage.clientWidth, onPoint, onChoose, onReady: () => mark(marked) };
    plots = [shares(context, smoothed), ...(answer.mel ? [spectrogram(context)] : [])];
    stage.replaceChildren(...plots.map((plot) => plot.root));
  }
  function mark(n) {
    marked = n;
    for (const plot of plots) {
      const left = plot.valToPos(n * answer.clip_s, "x");
      const width = Math.max(2, plot.valToPos((n + 1) * answer.clip_s, "x") - left);
      plot.setSelect({ left, width, top: 0, height: plot.over.clientHeight }, false);
    }
  }

  draw();
  dark.addEventListener("change", draw);
  const resized = new ResizeObserver(() => {
    if (!stage.isConnected) {
      resized.disconnect();
      dark.removeEventListener("change", draw);
    } else if (plots[0].width !== stage.clientWidth) draw();
  });
  resized.observe(stage);
  return { mark, smooth(on) { smoothed = on; draw(); } };
}

function common({ answer, style, width, onPoint, onChoose, onReady, uPlot }, height, bottom) {
  const end = answer.timeline.length * answer.clip_s;
  const quiet = style.getPropertyValue("--quiet");
  const axis = { stroke: quiet, font: "12px system-ui, sans-serif", ticks: { show: false } };
  const last = answer.timeline.length - 1;
  const heed = (plot, kind, told) =>
    plot.over.addEventListener(kind, ({ clientX }) => {
      const seconds = plot.posToVal(clientX - plot.over.getBoundingClientRect().left, "x");
      told(Math.min(last, Math.max(0, Math.floor(seconds / answer.clip_s))));
    });
  const cursor = {
    y: false,
    points: { show: false },
    drag: { x: false, y: false, setScale: false },
    sync: { key: "track", setSeries: false },
  };
  const ready = (plot) => {
    heed(plot, "click", onChoose);
    heed(plot, "pointermove", onPoint);
    onReady();
  };
  return {
    width,
    height: height + (bottom ? TICKS : 6),
    legend: { show: false },
    padding: [6, 18, 0, 0],
    cursor,
    focus: { alpha: 1 },
    scales: { x: { time: false, range: [0, end] } },
    axis,
    bottom: { ...axis, show: bottom, size: TICKS, gap: 4, grid: { show: false }, space: 56, incrs: [1, 2, 5, 10, 15, 30, 60, 120], values: (_, at) => at.map(clock) },
    hooks: { ready: [ready] },
    uPlot,
  };
}

function shares(context, smoothed) {
  const { answer, style, uPlot } = context;
  const { axis, bottom, ...base } = common(context, HEIGHT, true);
  const { genres } = answer.clips;
  const order = Object.keys(answer.results).map((genre) => genres.indexOf(genre));
  const data = stacked(answer, order, smoothed);
  const paths = smoothed ? uPlot.paths.spline() : uPlot.paths.stepped({ align: 1 });
  const edge = style.getPropertyValue("--panel");
  const series = order.map((g) => ({
    paths,
    points: { show: false },
    stroke: edge,
    width: 1,
    fill: style.getPropertyValue(`--g${g % 10}`),
  }));
  return new uPlot(
    {
      ...base,
      scales: { ...base.scales, y: { range: [0, 100] } },
      axes: [bottom, { ...axis, size: AXIS, gap: 4, grid: { show: false }, values: (_, at) => at.map((v) => (v % 50 ? "" : `${v} %`)) }],
      series: [{}, ...series],
      bands: order.slice(1).map((_, n) => ({ series: [n + 2, n + 1] })),
    },
    data,
    null,
  );
}

// Cumulated shares over time: a step holds to the next piece, a smooth line goes through middles.
function stacked({ timeline, clips, clip_s: clip }, order, smoothed) {
  const count = timeline.length;
  const mean = (n, g) => {
    const near = clips.percent.slice(Math.max(0, n - REACH), n + REACH + 1);
    return near.reduce((sum, row) => sum + row[g], 0) / near.length;
  };
  const rows = clips.percent.map((row, n) => {
    const values = order.map((g) => (smoothed ? mean(n, g) : row[g]));
    const whole = values.reduce((sum, value) => sum + value, 0) || 1;
    let total = 0;
    return values.map((value) => (total += (100 * value) / whole));
  });
  const xs = smoothed ? rows.map((_, n) => (n + 0.5) * clip) : rows.map((_, n) => n * clip);
  if (smoothed) {
    xs.unshift(0);
    rows.unshift(rows[0]);
  }
  xs.push(count * clip);
  rows.push(rows.at(-1));
  return [xs, ...order.map((_, i) => rows.map((row) => row[i]))];
}

function spectrogram(context) {
  const { answer, style, uPlot } = context;
  const { axis, bottom, ...base } = common(context, MEL_HEIGHT, false);
  const colours = [0, 1, 2, 3].map((n) => style.getPropertyValue(`--mel${n}`).trim());
  const picture = paint(answer.mel, colours);
  const draw = ({ ctx, bbox }) => ctx.drawImage(picture, bbox.left, bbox.top, bbox.width, bbox.height);
  const end = answer.timeline.length * answer.clip_s;
  const plot = new uPlot(
    {
      ...base,
      scales: { ...base.scales, y: { range: [0, 1] } },
      axes: [bottom, { ...axis, size: AXIS, gap: 4, grid: { show: false }, splits: [0.1, 0.9], values: () => [say("mel.low"), say("mel.high")] }],
      series: [{}, { show: true, stroke: "transparent", points: { show: false } }],
      hooks: { ...base.hooks, draw: [draw] },
    },
    [[0, end], [null, null]],
    null,
  );
  plot.root.classList.add("spectrogram");
  plot.root.title = say("mel.title");
  return plot;
}
