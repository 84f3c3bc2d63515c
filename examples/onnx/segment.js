// Segments an image in a browser with an exported key: onnxruntime-web and nothing else.
//
//   import { segment } from "./segment.js";
//   const mask = await segment("cracks.onnx", key, imageData);
//
// `key` is what `prompttune export` also wrote beside the file, cracks.json; `imageData` is that of a
// canvas. The mask holds a class index for each pixel: 0 is background, i is key.classes[i - 1].
import * as ort from "onnxruntime-web";

const sessions = new Map();

export async function segment(model, key, imageData, overlap = 0.25) {
  if (!sessions.has(model)) sessions.set(model, ort.InferenceSession.create(model));
  const session = await sessions.get(model);
  if (key.bands || key.stretch) throw new Error("the key wants other pixels: see its bands and stretch");
  const { width, height } = imageData, side = key.window, count = key.classes.length;
  const scale = key.scale ?? null;
  const size = (length) => (scale === null ? side : Math.max(1, Math.round(length * scale)));
  const seen = resized(imageData, size(width), size(height));
  // The borders of an image that is smaller than a window are mirrored.
  const wide = Math.max(side, seen.width), high = Math.max(side, seen.height);
  const left = (wide - seen.width) >> 1, top = (high - seen.height) >> 1;
  const scores = new Float32Array(count * wide * high), weights = new Float32Array(wide * high);
  // The middle of a window counts most.
  const bell = Float32Array.from({ length: side }, (_, i) =>
    Math.exp(-32 * ((i - (side - 1) / 2) / side) ** 2));
  for (const y of starts(high, side, overlap)) {
    for (const x of starts(wide, side, overlap)) {
      const pixels = new Uint8Array(side * side * 3);
      for (let i = 0; i < side * side; i++) {
        const row = mirrored(y + Math.floor(i / side) - top, seen.height);
        const column = mirrored(x + (i % side) - left, seen.width);
        for (let c = 0; c < 3; c++) pixels[3 * i + c] = seen.data[4 * (row * seen.width + column) + c];
      }
      const image = new ort.Tensor("uint8", pixels, [1, side, side, 3]);
      const answer = (await session.run({ image })).scores.data;
      for (let i = 0; i < side * side; i++) {
        const to = (y + Math.floor(i / side)) * wide + x + (i % side);
        const weight = Math.max(bell[Math.floor(i / side)] * bell[i % side], 1e-3);
        weights[to] += weight;
        for (let c = 0; c < count; c++)
          scores[c * wide * high + to] += weight * answer[c * side * side + i];
      }
    }
  }
  // Each pixel of the image takes the scores at its place, between four neighbors.
  const mask = new Uint8Array(width * height), own = new Float32Array(count);
  const at = (c, y, x) => scores[c * wide * high + y * wide + x] / weights[y * wide + x];
  for (let i = 0; i < width * height; i++) {
    const [y0, y1, down] = between(Math.floor(i / width), height, seen.height);
    const [x0, x1, across] = between(i % width, width, seen.width);
    for (let c = 0; c < count; c++) {
      const upper = at(c, top + y0, left + x0) * (1 - across) + at(c, top + y0, left + x1) * across;
      const lower = at(c, top + y1, left + x0) * (1 - across) + at(c, top + y1, left + x1) * across;
      own[c] = upper * (1 - down) + lower * down;
    }
    mask[i] = decided(own, key.groups);
  }
  return mask;
}

function resized(imageData, width, height) {
  const from = new OffscreenCanvas(imageData.width, imageData.height);
  from.getContext("2d").putImageData(imageData, 0, 0);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(from, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function starts(length, side, overlap) {
  const step = Math.max(1, Math.floor(side * (1 - overlap)));
  const found = new Set();
  for (let start = 0; start < length; start += step) found.add(Math.min(start, length - side));
  return [...found];
}

function mirrored(place, length) {
  const period = Math.max(1, 2 * (length - 1));
  const within = ((place % period) + period) % period;
  return within < length ? within : period - within;
}

function between(place, length, seenLength) {
  const exact = Math.min(Math.max(((place + 0.5) * seenLength) / length - 0.5, 0), seenLength - 1);
  const low = Math.floor(exact);
  return [low, Math.min(low + 1, seenLength - 1), exact - low];
}

function decided(scores, groups) {
  let label = 0, best = 0, first = 0;
  for (const group of groups) {
    const own = scores.subarray(first, first + group.classes);
    const highest = Math.max(...own);
    if (own.reduce((a, b) => a + b) > group.threshold && highest > best) {
      [best, label] = [highest, first + own.indexOf(highest) + 1];
    }
    first += group.classes;
  }
  return label;
}
