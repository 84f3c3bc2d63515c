// Masks and overlays of all images: the paint where there is some, else the answer that counts.
import { best, classesOf, get, nameOf } from "./answers.js";
import { ask, bring, broughtMask, json, sent } from "./server.js";
import { $, on, say, state, tell } from "./state.js";

let under = null;

function hint() {
  const kind = best();
  say(kind === "none" ? "Painted images give their paint; choose an answer for the others." : `Painted images give their paint, the others the answer of: ${nameOf(kind)}.`, "downloads");
}

async function collected(kind, signal) {
  const items = [];
  for (const [number, image] of state.images.entries()) {
    say(`Answering for the download: ${number + 1} of ${state.images.length}…`);
    const found = image.painted ? null : await get(image, kind, signal);
    if (!image.painted && !found) continue;
    items.push({ image: await sent(image), mask: image.painted ? await broughtMask(image) : await bring(found.map), name: image.name });
  }
  return items;
}

const download = tell(async () => {
  if (under) { under.abort(); return; }
  under = new AbortController();
  $("download").textContent = "Cancel the download";
  try {
    const kind = best(), items = await collected(kind, under.signal);
    if (!items.length) { say(""); return say("There is nothing to download yet: paint an image or choose an answer.", "problem"); }
    say("Packing…");
    const classes = state.images.some((image) => image.painted) ? state.classes : classesOf(kind);
    const most = Math.max(classes.length, classesOf(kind).length), names = [...classes, ...classesOf(kind).slice(classes.length)].slice(0, most);
    const blob = await (await ask("studio/download", json({ classes: names, items }, under.signal))).blob(), link = document.createElement("a");
    link.href = URL.createObjectURL(blob); link.download = "prompttune.zip"; link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
    say(`${items.length} mask${items.length > 1 ? "s are" : " is"} downloaded.`);
  } catch (error) {
    say(error.name === "AbortError" ? "The download is cancelled." : "");
    throw error;
  } finally { under = null; $("download").textContent = "Masks and overlays"; }
});

export function begin() {
  $("download").onclick = download;
  on("answered", hint); on("shown", hint);
  hint();
}
