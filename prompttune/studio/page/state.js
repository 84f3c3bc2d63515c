// What the page knows, kept over a reload under the tab's own name; and the lines that speak to the user.
import { drop, keep } from "./keep.js";

export const $ = (id) => document.getElementById(id);
export const state = { images: [], classes: ["foreground"], at: 0, left: "one-shot", right: "none", tuning: null, saved: 0 };
export const tab = { name: "" };
export const current = () => state.images[state.at];
export const examples = () => state.images.filter((image) => image.painted);
export const stem = (name) => name.replace(/\.[^.]*$/, "");

// Answers, tuning and all else happen at the same time, so each has its line; a problem stays until the user does something.
export const say = (text, line = "status") => { if ($(line).textContent !== text) $(line).textContent = text; };
for (const kind of ["pointerdown", "keydown", "change", "drop"]) addEventListener(kind, () => say("", "problem"), true);
export const tell = (work) => async (...given) => {
  try { return await work(...given); } catch (error) { if (error.name !== "AbortError") say(error.message, "problem"); }
};

// The parts of the page tell one another what happened: "painted", "shown", "listed", "classes", "tuned".
const heard = new EventTarget();
export const on = (what, does) => heard.addEventListener(what, (event) => does(event.detail));
export const emit = (what, detail) => heard.dispatchEvent(new CustomEvent(what, { detail }));

export const saveState = () => {
  state.saved = Date.now();
  return keep(`${tab.name}/state`, { ...state, images: state.images.map(({ id, width, height, name, painted }) => ({ id, width, height, name, painted })) });
};
export const saveImage = (image) => keep(`${tab.name}/file/${image.id}`, image.file);
export const saveMap = (image) => keep(`${tab.name}/map/${image.id}`, image.map);
export const forget = (image) => Promise.all([drop(`${tab.name}/file/${image.id}`), drop(`${tab.name}/map/${image.id}`)]);

/** Take over a class map that was changed: keep it, and let answers follow. */
export async function changed(image) {
  image.painted = image.map.some((value) => value > 0);
  emit("painted", image);
  await saveMap(image);
  await saveState();
}
