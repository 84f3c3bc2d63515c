// Class maps of images: painting into them, drawing them, and keeping them over a reload.

export const COLORS = [[0, 0, 0], [0, 225, 255], [0, 114, 220], [0, 158, 90], [204, 60, 160], [240, 220, 40], [230, 100, 0], [150, 80, 40], [255, 130, 130], [130, 110, 255]];
export const colorOf = (number) => COLORS[number === 0 ? 0 : 1 + (number - 1) % (COLORS.length - 1)];

/** Draw a rectangle of a class map, half transparent. */
export function draw(canvas, map, width, height, box = [0, 0, width, height]) {
  const [left, top, w, h] = box;
  if (w <= 0 || h <= 0) return;
  const context = canvas.getContext("2d"), pixels = context.createImageData(w, h);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const value = map[(top + y) * width + left + x];
    if (!value) continue;
    const at = 4 * (y * w + x), color = colorOf(value);
    pixels.data[at] = color[0]; pixels.data[at + 1] = color[1]; pixels.data[at + 2] = color[2]; pixels.data[at + 3] = 140;
  }
  context.putImageData(pixels, left, top);
}

/** Paint a line of round dabs into a class map; return the rectangle that changed. */
export function stroke(map, width, height, from, to, radius, value) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(1, radius / 2)));
  for (let step = 0; step <= steps; step++) {
    const cx = from[0] + (to[0] - from[0]) * step / steps, cy = from[1] + (to[1] - from[1]) * step / steps;
    for (let y = Math.max(0, Math.ceil(cy - radius)); y <= Math.min(height - 1, cy + radius); y++) {
      const half = Math.sqrt(Math.max(0, radius * radius - (y - cy) * (y - cy)));
      const start = Math.max(0, Math.ceil(cx - half)), end = Math.min(width - 1, Math.floor(cx + half));
      if (end >= start) map.fill(value, y * width + start, y * width + end + 1);
    }
  }
  const left = Math.max(0, Math.floor(Math.min(from[0], to[0]) - radius)), top = Math.max(0, Math.floor(Math.min(from[1], to[1]) - radius));
  const right = Math.min(width, Math.ceil(Math.max(from[0], to[0]) + radius) + 1), bottom = Math.min(height, Math.ceil(Math.max(from[1], to[1]) + radius) + 1);
  return [left, top, right - left, bottom - top];
}

/** The tab's own name: it outlives a reload, and a duplicated tab gets another. */
export async function tabName() {
  let name = sessionStorage.getItem("tab");
  const take = (one) => new Promise((done) => navigator.locks.request(`tab-${one}`, { ifAvailable: true }, (lock) => { done(!!lock); return lock ? new Promise(() => {}) : undefined; }));
  for (let wait = 0; name && wait < 10; wait++) {  // the page that is being left may hold it a moment more
    if (await take(name)) return name;
    await new Promise((done) => setTimeout(done, 100));
  }
  name = crypto.randomUUID();
  await take(name);
  sessionStorage.setItem("tab", name);
  return name;
}

const opened = new Promise((done, fail) => {
  const request = indexedDB.open("prompttune-studio", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("kept");
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});
async function store(mode, work) {
  const transaction = (await opened).transaction("kept", mode);
  return new Promise((done, fail) => {
    const request = work(transaction.objectStore("kept"));
    transaction.oncomplete = () => done(request.result);
    transaction.onerror = transaction.onabort = () => fail(transaction.error);
  });
}
export const keep = (key, value) => store("readwrite", (kept) => kept.put(value, key));
export const kept = (key) => store("readonly", (kept) => kept.get(key));
