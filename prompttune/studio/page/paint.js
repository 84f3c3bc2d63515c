// Class maps of images: painting into them, filling them, and drawing them.

export const COLORS = [[0, 0, 0], [0, 225, 255], [0, 114, 220], [0, 158, 90], [204, 60, 160], [240, 220, 40], [230, 100, 0], [150, 80, 40], [255, 130, 130], [130, 110, 255]];
export const colorOf = (number) => COLORS[number === 0 ? 0 : 1 + (number - 1) % (COLORS.length - 1)];
const DOUBT = 0.15;  // a smaller probability of being wrong is not shown

/**
 * Draw a rectangle of a class map, half transparent.
 * `sure`, if given, is how sure each pixel is, 0 to 255. What is doubtful gets stripes: black and
 * its color where a class was found, black and white where none was.
 */
export function draw(canvas, map, width, height, box = [0, 0, width, height], sure = null) {
  const [left, top, w, h] = box;
  if (w <= 0 || h <= 0) return;
  const context = canvas.getContext("2d"), pixels = context.createImageData(w, h), stripe = Math.max(2, Math.round(Math.max(width, height) / 250));
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const from = (top + y) * width + left + x, value = map[from], at = 4 * (y * w + x);
    if (value) {
      const color = colorOf(value);
      pixels.data[at] = color[0]; pixels.data[at + 1] = color[1]; pixels.data[at + 2] = color[2]; pixels.data[at + 3] = 140;
    }
    const doubt = sure ? 1 - sure[from] / 255 : 0;
    if (doubt > DOUBT) {
      const black = Math.floor((left + x + top + y) / stripe) % 2 === 0;
      if (black || !value) { pixels.data.fill(black ? 0 : 255, at, at + 3); pixels.data[at + 3] = 255 * Math.min(1, 2 * doubt); }
    }
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

/**
 * Fill the area of one class around a place, up to what is painted otherwise, row by row.
 * Returns how many pixels were filled, and whether the area reached the image's border.
 */
export function fill(map, width, height, [x, y], value) {
  x = Math.round(x); y = Math.round(y);
  if (x < 0 || y < 0 || x >= width || y >= height) return { pixels: 0, border: false };
  const old = map[y * width + x];
  if (old === value) return { pixels: 0, border: false };
  const waiting = [[x, y]];
  let pixels = 0, border = false;
  while (waiting.length) {
    const [column, row] = waiting.pop(), first = row * width;
    if (map[first + column] !== old) continue;
    let left = column, right = column;
    while (left > 0 && map[first + left - 1] === old) left--;
    while (right < width - 1 && map[first + right + 1] === old) right++;
    map.fill(value, first + left, first + right + 1);
    pixels += right - left + 1;
    border ||= left === 0 || right === width - 1 || row === 0 || row === height - 1;
    for (const other of [row - 1, row + 1]) {
      if (other < 0 || other >= height) continue;
      for (let at = left, open = false; at <= right; at++) {
        const same = map[other * width + at] === old;
        if (same && !open) waiting.push([at, other]);
        open = same;
      }
    }
  }
  return { pixels, border };
}
