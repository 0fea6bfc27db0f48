// The server's picture of the track's spectrogram.

// A piece is silent where its loudest spot is this far below the track's.
const SILENT_DB = 60;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** For each piece whether it is silent; nobody knows where the answer came without a picture. */
export function silentPieces({ mel, timeline, silent }) {
  if (!mel) return silent ?? timeline.map(() => false);
  const pixels = bytes(mel.pixels);
  const least = 255 * (1 - SILENT_DB / (mel.high_db - mel.low_db));
  return timeline.map((_, n) => {
    const from = Math.floor((n * mel.columns) / timeline.length);
    const to = Math.max(from + 1, Math.floor(((n + 1) * mel.columns) / timeline.length));
    return pixels.subarray(from * mel.bands, to * mel.bands).every((value) => value < least);
  });
}

/** The picture as a canvas of one pixel for each value, low notes at the bottom. */
export function paint({ columns, bands, pixels }, colours) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = bands;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, bands);
  const values = bytes(pixels);
  const shades = ramp(colours);
  for (let column = 0; column < columns; column += 1)
    for (let band = 0; band < bands; band += 1) {
      const to = 4 * ((bands - 1 - band) * columns + column);
      image.data.set(shades[values[column * bands + band]], to);
    }
  context.putImageData(image, 0, 0);
  return canvas;
}

// 256 colours from the first to the last, as the browser itself mixes them.
function ramp(colours) {
  const canvas = document.createElement("canvas");
  canvas.width = 256;
  canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const gradient = context.createLinearGradient(0, 0, 256, 0);
  colours.forEach((colour, n) => gradient.addColorStop(n / (colours.length - 1), colour));
  context.fillStyle = gradient;
  context.fillRect(0, 0, 256, 1);
  const { data } = context.getImageData(0, 0, 256, 1);
  return Array.from({ length: 256 }, (_, n) => data.subarray(4 * n, 4 * n + 4));
}
