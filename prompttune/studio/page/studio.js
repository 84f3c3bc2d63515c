// The page: images, painting, answers, tuning. The state lies in IndexedDB under the tab's own name.
import { colorOf, draw, keep, kept, stroke, tabName } from "./paint.js";

const $ = (id) => document.getElementById(id);
const KINDS = { none: "nothing", "one-shot": "one example", ensemble: "all examples", tuned: "tuned key" };
const state = { images: [], classes: ["foreground"], at: 0, left: "one-shot", right: "none", tuning: null, key: null };
const answers = new Map();  // "image/kind" to a class map
const urls = new Map();
let tab, tool = "brush", chosen = 1, zoom = 1, undo = [], asking = 0, epoch = 0;

// Answers, tuning and all else happen at the same time, so each has its line; a problem stays until the user does something.
const say = (text, line = "status") => { $(line).textContent = text; };
for (const kind of ["pointerdown", "keydown", "change", "drop"]) addEventListener(kind, () => { $("problem").textContent = ""; }, true);
const current = () => state.images[state.at];
const painted = (image) => image.map?.some((value) => value > 0);
const examples = () => state.images.filter(painted);

async function ask(path, options = {}) {
  let response;
  try { response = await fetch(path, options); } catch { throw new Error("The server does not answer. Is it still running?"); }
  if (response.ok) return response;
  let text = `The server answered ${response.status}.`;
  try { text = (await response.json()).error; } catch { /* not JSON */ }
  throw Object.assign(new Error(text), { status: response.status });
}
const json = (body) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const tell = (work) => async (...given) => { try { return await work(...given); } catch (error) { say(error.message, "problem"); } };

const saveState = () => keep(`${tab}/state`, { ...state, images: state.images.map(({ file, map, ...rest }) => rest) });
const saveImage = (image) => keep(`${tab}/file/${image.id}`, image.file);
const saveMap = (image) => keep(`${tab}/map/${image.id}`, image.map);

async function load(files) {
  const masks = [];
  for (const file of files) {
    if (/(^|[/\\])(masks?|labels?)[/\\]/.test(file.webkitRelativePath || "")) { masks.push(file); continue; }
    say(`Loading ${file.name}…`);
    try {
      const got = await (await ask("studio/images", { method: "POST", body: file })).json();
      if (state.images.some((one) => one.id === got.id)) continue;
      const image = { ...got, name: file.name, file, map: new Uint8Array(got.width * got.height) };
      state.images.push(image);
      await saveImage(image);
      say(`${file.name} is loaded.`);
    } catch (error) { say(""); say(`${file.name}: ${error.message}`, "problem"); }
  }
  await saveState();
  list();
  if (state.images.length) show(state.at);
  for (const file of masks) {
    const stem = file.name.replace(/\.[^.]*$/, ""), image = state.images.find((one) => one.name.replace(/\.[^.]*$/, "") === stem);
    if (image) await loadMask(file, image);
  }
}

async function loadMask(file, image) {
  const response = await ask(`studio/masks/read?classes=${state.classes.length}`, { method: "POST", body: file });
  if (+response.headers.get("x-width") !== image.width || +response.headers.get("x-height") !== image.height) throw new Error(`${file.name} is not of the image's size.`);
  image.map = new Uint8Array(await response.arrayBuffer());
  await changed(image);
}

function list() {
  $("images").replaceChildren(...state.images.map((image, index) => {
    const row = document.createElement("li"), button = document.createElement("button");
    button.textContent = `${image.name}${painted(image) ? " (painted)" : ""}`;
    button.setAttribute("aria-pressed", String(index === state.at));
    button.onclick = () => show(index);
    row.append(button);
    return row;
  }));
}

function listClasses() {
  const rows = state.classes.map((name, index) => {
    const row = document.createElement("span"), button = document.createElement("button"), swatch = document.createElement("span"), input = document.createElement("input");
    swatch.className = "swatch"; swatch.style.background = `rgb(${colorOf(index + 1)})`;
    button.append(swatch, String(index + 1));
    button.setAttribute("role", "radio"); button.setAttribute("aria-checked", String(chosen === index + 1)); button.setAttribute("aria-label", `Paint ${name}`);
    button.onclick = () => { chosen = index + 1; pick("brush"); listClasses(); };
    input.value = name; input.setAttribute("aria-label", `Name of class ${index + 1}`);
    input.onchange = () => { state.classes[index] = input.value.trim() || `class ${index + 1}`; answers.clear(); epoch++; saveState(); answer(); };
    row.append(button, input);
    return row;
  });
  const add = document.createElement("button");
  add.textContent = "Add a class"; add.id = "addclass";
  add.onclick = () => { if (state.classes.length < 20) state.classes.push(`class ${state.classes.length + 1}`); chosen = state.classes.length; saveState(); listClasses(); };
  $("classes").replaceChildren(...rows, add);
}

function show(index) {
  state.at = index; undo = [];
  const image = current();
  if (!image) return;
  const view = `studio/images/${image.id}/view`;
  $("picture").src = view; $("picture").alt = image.name;
  $("picture").onerror = tell(async () => { await ask("studio/images", { method: "POST", body: image.file }); $("picture").onerror = null; $("picture").src = `${view}?again`; });
  for (const id of ["left", "right", "paint"]) { $(id).width = image.width; $(id).height = image.height; }
  $("sheet").style.width = `${image.width}px`; $("sheet").style.height = `${image.height}px`;
  zoom = Math.min(8, $("stage").clientWidth / image.width, $("stage").clientHeight / image.height);
  rescale(); draw($("paint"), image.map, image.width, image.height); list(); saveState(); answer();
}
const rescale = () => { $("sheet").style.transform = `scale(${zoom})`; };

function pick(name) { tool = name; for (const one of ["brush", "eraser"]) $(one).setAttribute("aria-pressed", String(one === name)); }

let last = null;
const place = (event) => { const box = $("paint").getBoundingClientRect(); return [(event.clientX - box.left) / zoom - .5, (event.clientY - box.top) / zoom - .5]; };
function dab(event) {
  const image = current(), here = place(event), box = stroke(image.map, image.width, image.height, last, here, $("size").value / 2, tool === "brush" ? chosen : 0);
  draw($("paint"), image.map, image.width, image.height, box);
  last = here;
}
$("paint").onpointerdown = (event) => { if (!current() || event.button) return; $("paint").setPointerCapture(event.pointerId); undo.push(current().map.slice()); if (undo.length > 8) undo.shift(); last = place(event); dab(event); };
$("paint").onpointermove = (event) => { if (last) dab(event); };
$("paint").onpointerup = $("paint").onpointercancel = tell(async () => { if (!last) return; last = null; await changed(current()); });

async function changed(image) {
  epoch++;  // answers that are under way belong to what was painted before
  for (const name of [...answers.keys()]) if (/\/(one-shot|ensemble)$/.test(name)) answers.delete(name);
  draw($("paint"), image.map, image.width, image.height);
  await saveMap(image);
  list(); answer();
}

async function sent(image) {  // what the server has lost is brought again
  if (!image.sent) { await ask("studio/images", { method: "POST", body: image.file }); image.sent = true; }
  return image.id;
}
const bring = async (map) => (await (await ask("studio/masks", { method: "POST", body: map })).json()).id;
const listed = () => Promise.all(examples().map(async (image) => ({ image: await sent(image), mask: await bring(image.map) })));

async function get(image, kind) {
  const name = `${image.id}/${kind}`, born = epoch;
  if (answers.has(name)) return answers.get(name);
  if (kind === "none" || ((kind === "one-shot" || kind === "ensemble") && !examples().length) || (kind === "tuned" && !state.tuning)) return null;
  const key = kind.startsWith("key:") ? kind.slice(4) : null;
  const body = { image: await sent(image), kind: key ? "key" : kind, key, tuning: state.tuning, classes: state.classes, examples: key || kind === "tuned" ? [] : await listed() };
  const map = new Uint8Array(await (await ask("studio/answers", json(body))).arrayBuffer());
  if (born === epoch) answers.set(name, map);
  return map;
}

const answer = tell(async () => {
  const image = current(), turn = ++asking;
  if (!image) return;
  const wanted = [state.left, state.right];
  if (wanted.some((kind) => kind !== "none")) say("Answering…", "answering");
  for (const [index, id] of ["left", "right"].entries()) if (!answers.has(`${image.id}/${wanted[index]}`)) $(id).getContext("2d").clearRect(0, 0, image.width, image.height);  // what is shown is never another prompt's
  const maps = [];
  for (const kind of wanted) {
    try { maps.push(await get(image, kind)); } catch (error) {
      if (error.status === 409 && kind === "tuned") maps.push(null);  // nothing to show yet
      else if (error.status === 410) { for (const one of state.images) one.sent = false; maps.push(await get(image, kind)); }  // the server was started anew
      else throw error;
    }
  }
  if (turn !== asking || image !== current()) return;
  for (const [index, id] of ["left", "right"].entries()) {
    $(id).getContext("2d").clearRect(0, 0, image.width, image.height);
    if (maps[index]) draw($(id), maps[index], image.width, image.height);
  }
  $("correct").disabled = !maps[0];
  const both = maps[0] && maps[1];
  $("slide").hidden = $("divider").hidden = !both;
  slide(both);
  say(maps[0] || maps[1] ? `${image.name} is answered.` : examples().length ? "Choose an answer." : "Paint a class on an image, or pick a key.", "answering");
});
function slide(both = !$("slide").hidden) {
  const at = +$("slider").value;
  $("left").style.clipPath = both ? `inset(0 ${100 - at}% 0 0)` : ""; $("right").style.clipPath = both ? `inset(0 0 0 ${at}%)` : "";
  $("divider").style.left = `${at}%`;
}

function kinds(zoo) {
  const all = { ...KINDS, ...Object.fromEntries(zoo.map((key) => [`key:${key.name}`, `key ${key.name}`])) };
  for (const [id, side] of [["leftkind", "left"], ["rightkind", "right"]]) {
    $(id).replaceChildren(...Object.entries(all).map(([value, text]) => new Option(text, value)));
    $(id).value = state[side];
    $(id).onchange = () => { state[side] = $(id).value; saveState(); answer(); };
  }
}
async function listZoo() {
  const zoo = (await (await ask("v1/prompts")).json()).filter((key) => key.fits);
  kinds(zoo);
  $("zoo").replaceChildren(...zoo.map((key) => {
    const row = document.createElement("li"), button = document.createElement("button"), picture = document.createElement("img");
    picture.src = `v1/prompts/${key.name}/preview`; picture.alt = "";
    button.append(`${key.name}: ${key.classes.join(", ")}`, picture);
    button.onclick = () => { state.left = `key:${key.name}`; $("leftkind").value = state.left; saveState(); answer(); };
    row.append(button);
    return row;
  }));
}

let version = -1;
const follow = tell(async () => {
  if (!state.tuning) return;
  let now;
  try { now = await (await ask(`studio/tunings/${state.tuning}`)).json(); } catch (error) { if (error.status === 410) { state.tuning = null; saveState(); say("The server was started anew; tune again.", true); buttons(null); return; } throw error; }
  buttons(now.state);
  $("progress").value = now.step / now.steps;
  const points = now.history.map(([, dice], index) => `${10 + 220 * (index + 1) / Math.max(5, now.history.length)},${82 - 74 * dice}`);
  $("curve").innerHTML = `<polyline fill="none" stroke="#00695c" stroke-width="2" points="${points.join(" ")}"/>${points.map((point) => `<circle r="2.5" fill="#00695c" cx="${point.split(",")[0]}" cy="${point.split(",")[1]}"/>`).join("")}<text x="8" y="12" font-size="10">${now.history.length ? `Dice ${now.history.at(-1)[1].toFixed(3)}` : "waiting for the first validation"}</text>`;
  if (now.version !== version) { version = now.version; epoch++; for (const name of [...answers.keys()]) if (name.endsWith("/tuned")) answers.delete(name); if (version && (state.left === "tuned" || state.right === "tuned")) answer(); }
  if (now.problem) say(now.problem, "problem");
  else if (now.state === "done") say("Tuning is done. Name the key and save it.", "tuning");
  else if (now.state === "running") { say(`Tuning: step ${now.step} of ${now.steps}.`, "tuning"); setTimeout(follow, 1000); }
  else say(`Tuning is stopped at step ${now.step}.`, "tuning");
});
function buttons(now) {
  $("tune").disabled = $("steps").disabled = now === "running"; $("stop").disabled = now !== "running"; $("goon").disabled = now !== "stopped"; $("save").disabled = now !== "done";
}
const tune = tell(async () => {
  if (!examples().length) return say("Paint a class on an image first.", "problem");
  say("Tuning begins…", "tuning"); $("tune").disabled = true;
  try {
    state.tuning = (await (await ask("studio/tunings", json({ classes: state.classes, examples: await listed(), steps: +$("steps").value }))).json()).id;
  } catch (error) { $("tune").disabled = false; throw error; }
  version = -1; state.right = "tuned"; $("rightkind").value = "tuned"; await saveState(); follow();
});

$("tune").onclick = tune;
$("stop").onclick = tell(async () => { await ask(`studio/tunings/${state.tuning}/stop`, { method: "POST" }); follow(); });
$("goon").onclick = tell(async () => { await ask(`studio/tunings/${state.tuning}/go-on`, { method: "POST" }); follow(); });
$("save").onclick = tell(async () => {
  const name = $("name").value.trim();
  await ask(`studio/tunings/${state.tuning}/save`, json({ name }));
  $("keyfile").href = `v1/prompts/${name}/file`; $("keyfile").download = `${name}.safetensors`; $("keyfile").hidden = false;
  await listZoo(); say(`The key ${name} is saved.`);
});
$("correct").onclick = tell(async () => { const image = current(), map = await get(image, state.left); undo.push(image.map.slice()); image.map = map.slice(); await changed(image); say("The answer is paint now: mend it."); });
$("download").onclick = tell(async () => {
  say("Packing…");
  const items = [];
  for (const image of state.images) { const map = painted(image) ? image.map : await get(image, state.right !== "none" ? state.right : state.left); if (map) items.push({ image: await sent(image), mask: await bring(map), name: image.name }); }
  if (!items.length) return say("There is nothing to download yet.", "problem");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await ask("studio/download", json({ classes: state.classes, items }))).blob()); link.download = "prompttune.zip"; link.click();
  say(`${items.length} masks are downloaded.`);
});
$("files").onchange = tell(() => load([...$("files").files])); $("folder").onchange = tell(() => load([...$("folder").files].filter((file) => /\.(png|jpe?g|tiff?|webp|bmp|gif)$/i.test(file.name))));
$("maskfile").onchange = tell(async () => { if (current()) await loadMask($("maskfile").files[0], current()); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", tell((event) => { event.preventDefault(); return load([...event.dataTransfer.files]); }));
$("brush").onclick = () => pick("brush"); $("eraser").onclick = () => pick("eraser");
$("slider").oninput = () => slide();
const back = tell(async () => { if (undo.length) { current().map = undo.pop(); await changed(current()); } });
$("undo").onclick = back;
$("clear").onclick = tell(async () => { if (!current()) return; undo.push(current().map.slice()); current().map.fill(0); await changed(current()); });
const scaleBy = (by) => { zoom = Math.min(16, Math.max(.02, zoom * by)); rescale(); };
$("zoomin").onclick = () => scaleBy(1.25); $("zoomout").onclick = () => scaleBy(.8);
addEventListener("keydown", (event) => {
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range") return;
  if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); return back(); }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const does = { b: () => pick("brush"), e: () => pick("eraser"), "[": () => { $("size").value = +$("size").value - 4; }, "]": () => { $("size").value = +$("size").value + 4; }, "+": () => scaleBy(1.25), "-": () => scaleBy(.8), n: () => show((state.at + 1) % state.images.length), p: () => show((state.at + state.images.length - 1) % state.images.length), a: answer, t: tune };
  if (event.key >= "1" && event.key <= "9" && +event.key <= state.classes.length) { chosen = +event.key; pick("brush"); listClasses(); } else does[event.key]?.();
});

tell(async () => {
  tab = await tabName();
  const before = await kept(`${tab}/state`);
  if (before) {
    Object.assign(state, before, { images: [] });
    for (const image of before.images) { const file = await kept(`${tab}/file/${image.id}`); if (file) state.images.push({ ...image, sent: false, file, map: await kept(`${tab}/map/${image.id}`) || new Uint8Array(image.width * image.height) }); }
  }
  listClasses(); list(); await listZoo();
  if (state.images.length) { for (const image of state.images) await sent(image); show(Math.min(state.at, state.images.length - 1)); }
  if (state.tuning) follow();
  document.body.dataset.ready = "yes";
})();
