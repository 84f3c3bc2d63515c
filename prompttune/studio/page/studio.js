// The page: brings back what was kept, joins the parts, and listens to the keyboard.
import * as answers from "./answers.js";
import * as brush from "./brush.js";
import * as classes from "./classes.js";
import * as downloads from "./downloads.js";
import * as images from "./images.js";
import { forgetOld, kept, tabName } from "./keep.js";
import * as keys from "./keys.js";
import { sent } from "./server.js";
import { $, changed, current, emit, say, state, tab, tell } from "./state.js";
import * as tuning from "./tuning.js";

const correct = tell(async () => {
  const image = current(), kind = state.left !== "none" ? state.left : state.right, found = await answers.get(image, kind);
  if (!found) return;
  emit("before", image);
  image.map = found.map.slice();
  await changed(image);
  say("The answer is paint now. Mend it with brush and eraser; it counts as an example.");
});
const show = (step) => { const count = state.images.length; if (count) images.show((state.at + step + count) % count); };
const resize = (by) => { $("size").value = +$("size").value + by; $("size").oninput(); };
const DOES = {
  b: () => brush.pick("brush"), e: () => brush.pick("eraser"), f: () => brush.pick("fill"), "[": () => resize(-4), "]": () => resize(4),
  "+": () => images.scaleBy(1.25), "=": () => images.scaleBy(1.25), "-": () => images.scaleBy(.8), 0: images.fit, n: () => show(1), p: () => show(-1),
  a: answers.answer, t: tuning.tune, c: correct, u: () => $("unsure").click(), "?": () => $("help").showModal(), Escape: answers.halt,
};

function typed(event) {
  if (document.querySelector("dialog[open]")) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !/^(range|checkbox)$/.test(event.target.type)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z" || key === "y") { event.preventDefault(); (key === "y" || event.shiftKey ? brush.redo : brush.undo)(); }
    return;
  }
  if (event.altKey) return;
  if (key >= "1" && key <= "9") classes.choose(+key); else DOES[key]?.();
}

async function restore() {
  tab.name = await tabName();
  const before = await kept(`${tab.name}/state`);
  if (!before) return;
  Object.assign(state, before, { images: [], running: false });
  for (const { sent: _, ...image } of before.images) {
    const file = await kept(`${tab.name}/file/${image.id}`), map = await kept(`${tab.name}/map/${image.id}`);
    if (file) state.images.push({ ...image, version: 0, file, map: map ?? new Uint8Array(image.width * image.height), painted: !!map?.some((value) => value > 0) });
  }
}

tell(async () => {
  for (const part of [images, brush, answers, tuning, downloads, keys]) part.begin();
  $("correct").onclick = correct;
  $("keyboard").onclick = () => $("help").showModal(); $("close").onclick = () => $("help").close();
  addEventListener("keydown", typed);
  await restore();
  classes.list(); images.list();
  await keys.list();
  if (state.images.length) {
    say("Bringing back your images…");
    for (const image of state.images) await sent(image);
    say(`${state.images.length} image${state.images.length > 1 ? "s are" : " is"} here again.`);
    images.show(Math.min(state.at, state.images.length - 1));
  }
  if (state.tuning) tuning.follow();
  forgetOld();
  document.body.dataset.ready = "yes";
})();
