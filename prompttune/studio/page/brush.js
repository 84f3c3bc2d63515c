// Painting on the image that is shown: brush, eraser and fill, with the mouse or the keyboard; undo and redo.
import { view } from "./images.js";
import { draw, fill, stroke } from "./paint.js";
import { $, changed, current, on, say, state, tell } from "./state.js";

const TOOLS = ["brush", "eraser", "fill"], UNDO_BYTES = 96e6;
export const chosen = { tool: "brush", number: 1 };
let last = null, at = null;  // where the brush is; where the keyboard's cursor is

export function pick(tool) {
  chosen.tool = tool;
  for (const one of TOOLS) $(one).setAttribute("aria-pressed", String(one === tool));
}
const value = () => (chosen.tool === "eraser" ? 0 : chosen.number);
const className = () => (chosen.tool === "eraser" ? "nothing" : state.classes[chosen.number - 1]);

/** Remember an image's class map as it is, so that it can be had again. */
function remember(image) {
  image.past ??= []; image.future = [];
  image.past.push(image.map.slice());
  while (image.past.length > 1 && image.past.length * image.map.length > UNDO_BYTES) image.past.shift();
}
const swap = (from, to) => tell(async () => {
  const image = current();
  if (!image?.[from]?.length) return say(from === "past" ? "There is nothing to undo." : "There is nothing to redo.");
  (image[to] ??= []).push(image.map);
  image.map = image[from].pop();
  await changed(image);
});
export const undo = swap("past", "future"), redo = swap("future", "past");

function dab(here) {
  const image = current(), box = stroke(image.map, image.width, image.height, last ?? here, here, $("size").value / 2, value());
  draw($("paint"), image.map, image.width, image.height, box);
  last = here;
}
function flood(here) {
  const image = current(), found = fill(image.map, image.width, image.height, here, value());
  if (!found.pixels) say("This is filled already.");
  else if (found.border && found.pixels > image.map.length / 2) say("The fill reached the image's border. If the outline has a gap, undo it and close the gap.");
  else say(`${found.pixels} pixels are filled.`);
}
const place = (event) => { const box = $("paint").getBoundingClientRect(); return [(event.clientX - box.left) / view.zoom - .5, (event.clientY - box.top) / view.zoom - .5]; };

/** Move the keyboard's cursor, by half a brush or by one pixel, and show it. */
function move(dx, dy, fine) {
  const image = current(), step = fine ? 1 : Math.max(1, $("size").value / 2);
  at ??= [Math.floor(image.width / 2), Math.floor(image.height / 2)];
  at = [Math.min(image.width - 1, Math.max(0, at[0] + dx * step)), Math.min(image.height - 1, Math.max(0, at[1] + dy * step))];
  showCursor(true);
  say(`${Math.round(at[0])} across, ${Math.round(at[1])} down.`);
}
function showCursor(scroll = false) {
  const cursor = $("cursor");
  cursor.hidden = !at || !current() || document.activeElement !== $("stage");
  if (cursor.hidden) return;
  const side = Math.max(3, +$("size").value);
  Object.assign(cursor.style, { left: `${at[0] + .5 - side / 2}px`, top: `${at[1] + .5 - side / 2}px`, width: `${side}px`, height: `${side}px`, borderWidth: `${2 / view.zoom}px` });
  if (scroll) cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
}
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const typed = tell(async (event) => {
  if (!current() || event.ctrlKey || event.metaKey || event.altKey) return;
  const way = ARROWS[event.key];
  if (way) { event.preventDefault(); move(...way, event.shiftKey); return; }
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  if (!at) move(0, 0);
  remember(current());
  last = null;
  if (chosen.tool === "fill") flood(at); else { dab(at); say(`Painted ${className()} at ${Math.round(at[0])} across, ${Math.round(at[1])} down.`); }
  last = null;
  await changed(current());
});

export function begin() {
  for (const tool of TOOLS) $(tool).onclick = () => pick(tool);
  $("paint").onpointerdown = (event) => {
    if (!current() || event.button) return;
    $("paint").setPointerCapture(event.pointerId);
    remember(current());
    last = place(event);
    if (chosen.tool === "fill") flood(last); else dab(last);
  };
  $("paint").onpointermove = (event) => { if (last && chosen.tool !== "fill") dab(place(event)); };
  $("paint").onpointerup = $("paint").onpointercancel = tell(async () => { if (!last) return; last = null; await changed(current()); });
  $("stage").addEventListener("keydown", typed);
  $("stage").addEventListener("focus", () => showCursor()); $("stage").addEventListener("blur", () => showCursor());
  $("size").oninput = () => showCursor();
  $("undo").onclick = undo; $("redo").onclick = redo;
  $("clear").onclick = tell(async () => { if (!current()?.painted) return; remember(current()); current().map.fill(0); await changed(current()); say("The paint is cleared; undo brings it back."); });
  on("before", remember);
  on("zoomed", () => showCursor());
  on("shown", () => { at = null; redraw(); showCursor(); });
  on("painted", (image) => { if (image === current()) redraw(); });
}
function redraw() { const image = current(); if (image) draw($("paint"), image.map, image.width, image.height); }
