// The images: loading files and folders, the list with its small pictures, removing, showing one.
import { ask, sent } from "./server.js";
import { $, changed, current, emit, forget, on, saveImage, saveState, say, state, stem, tell } from "./state.js";
import { colorOf } from "./paint.js";

const SIDE = 150;  // of a small picture, pixels
const IMAGE = /\.(png|jpe?g|tiff?|webp|bmp|gif)$/i, MASKS = /(^|[/\\])(masks?|labels?)[/\\]/i;
export const view = { zoom: 1 };

export async function load(files) {
  const masks = [], failed = [];
  let loaded = 0;
  for (const [number, file] of files.entries()) {
    if (MASKS.test(file.path ?? file.webkitRelativePath ?? "")) { masks.push(file); continue; }
    say(`Loading ${file.name} (${number + 1} of ${files.length})…`);
    try {
      const got = await (await ask("studio/images", { method: "POST", body: file })).json();
      if (state.images.some((one) => one.id === got.id)) { failed.push(`${file.name} is loaded already.`); continue; }
      const image = { ...got, name: file.name, file, map: new Uint8Array(got.width * got.height), painted: false, version: 0, sent: true };
      await saveImage(image);
      state.images.push(image);
      loaded++;
      list();
      if (state.images.length === 1) show(0);
    } catch (error) { failed.push(`${file.name}: ${error.message}`); }
  }
  await saveState();
  for (const file of masks) {
    const image = state.images.find((one) => stem(one.name) === stem(file.name));
    try { if (image) await loadMask(file, image); else failed.push(`${file.name} in masks/ has no image of this name.`); } catch (error) { failed.push(error.message); }
  }
  list();
  say(loaded ? `${loaded} image${loaded > 1 ? "s are" : " is"} loaded.` : "");
  if (failed.length) say(failed.length > 3 ? `${failed.slice(0, 3).join(" ")} And ${failed.length - 3} more.` : failed.join(" "), "problem");
  emit("shown");
}

export async function loadMask(file, image) {
  let response;
  try { response = await ask(`studio/masks/read?classes=${state.classes.length}`, { method: "POST", body: file }); } catch (error) { throw new Error(`${file.name}: ${error.message}`); }
  const width = +response.headers.get("x-width"), height = +response.headers.get("x-height");
  if (width !== image.width || height !== image.height) throw new Error(`${file.name} is ${width} x ${height} pixels, and ${image.name} is ${image.width} x ${image.height}: load the mask of this image.`);
  emit("before", image);
  image.map = new Uint8Array(await response.arrayBuffer());
  await changed(image);
}

/** List the files of folders that were dropped, and of what lies in them. */
async function dropped(items) {
  const files = [];
  const walk = async (entry, path) => {
    if (entry.isFile) { const file = await new Promise((done, fail) => entry.file(done, fail)); file.path = path + file.name; files.push(file); return; }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const one of some) await walk(one, `${path}${entry.name}/`);
    }
  };
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean), folders = entries.some((entry) => entry.isDirectory);
  for (const entry of entries) await walk(entry, "");
  return folders ? files.filter((file) => IMAGE.test(file.name)) : files;
}

export function list() {
  $("images").replaceChildren(...state.images.map((image, index) => {
    const row = document.createElement("li"), button = document.createElement("button"), remove = document.createElement("button"), text = document.createElement("span");
    image.small ??= Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    image.small.setAttribute("aria-hidden", "true");
    text.textContent = `${image.name}${image.painted ? " (painted)" : ""}`;
    button.append(image.small, text);
    if (index === state.at) button.setAttribute("aria-current", "true");
    button.onclick = () => show(index);
    remove.textContent = "×"; remove.className = "remove"; remove.title = `Remove ${image.name}`; remove.setAttribute("aria-label", `Remove ${image.name}`);
    remove.onclick = tell(() => removeImage(image));
    row.append(button, remove);
    return row;
  }));
}

async function removeImage(image) {
  if (image.painted && !confirm(`Remove ${image.name} and what is painted on it?`)) return;
  const index = state.images.indexOf(image);
  state.images.splice(index, 1);
  if (state.at >= index && state.at > 0) state.at--;
  await forget(image);
  emit("removed", image);
  list();
  if (state.images.length) show(state.at); else empty();
  await saveState();
  say(`${image.name} is removed.`);
  ($("images").querySelector("[aria-current]") ?? $("files")).focus();
}

function empty() {
  $("picture").removeAttribute("src"); $("picture").alt = "";
  for (const id of ["left", "right", "paint"]) $(id).width = $(id).height = 0;
  $("sheet").style.width = $("sheet").style.height = "0";
  $("welcome").hidden = false;
  emit("shown");
}

/** Draw the small picture of an image, with a class map over it. */
export async function drawSmall(image, map) {
  if (!image.bitmap) {
    await sent(image);
    image.bitmap = await createImageBitmap(await (await ask(`studio/images/${image.id}/view?side=${SIDE}`)).blob());
  }
  const { width, height } = image.bitmap, context = Object.assign(image.small, { width, height }).getContext("2d", { willReadFrequently: true });
  context.drawImage(image.bitmap, 0, 0);
  if (!map) return;
  const pixels = context.getImageData(0, 0, width, height), dx = image.width / width, dy = image.height / height;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const value = map[Math.floor((y + .5) * dy) * image.width + Math.floor((x + .5) * dx)];
    if (value) colorOf(value).forEach((part, channel) => { const at = 4 * (y * width + x) + channel; pixels.data[at] = .3 * pixels.data[at] + .7 * part; });
  }
  context.putImageData(pixels, 0, 0);
}

export function show(index) {
  if (!state.images.length) return;
  state.at = index;
  const image = current(), path = `studio/images/${image.id}/view`;
  $("welcome").hidden = true;
  $("picture").src = path; $("picture").alt = image.name;
  $("picture").onerror = tell(async () => { image.sent = false; $("picture").onerror = null; await sent(image); $("picture").src = `${path}?again=1`; });
  for (const id of ["left", "right", "paint"]) { $(id).width = image.width; $(id).height = image.height; }
  $("sheet").style.width = `${image.width}px`; $("sheet").style.height = `${image.height}px`;
  fit();
  list(); saveState();
  emit("shown");
}
const rescale = () => { $("sheet").style.transform = `scale(${view.zoom})`; emit("zoomed"); };
export function fit() {
  if (!current()) return;
  view.zoom = Math.min(8, $("stage").clientWidth / current().width, $("stage").clientHeight / current().height);
  rescale();
}
export const scaleBy = (by) => { view.zoom = Math.min(16, Math.max(.02, view.zoom * by)); rescale(); };

export function begin() {
  $("files").onchange = tell(async () => { const files = [...$("files").files]; $("files").value = ""; await load(files); });
  $("folder").onchange = tell(async () => { const files = [...$("folder").files].filter((file) => IMAGE.test(file.name)); $("folder").value = ""; await load(files); });
  $("maskfile").onchange = tell(async () => { const file = $("maskfile").files[0]; $("maskfile").value = ""; if (!current()) return say("Load an image first.", "problem"); await loadMask(file, current()); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", tell(async (event) => { event.preventDefault(); await load(await dropped(event.dataTransfer.items)); }));
  addEventListener("resize", fit);
  $("zoomin").onclick = () => scaleBy(1.25); $("zoomout").onclick = () => scaleBy(.8); $("fit").onclick = fit;
  $("stage").addEventListener("wheel", (event) => { if (event.ctrlKey) { event.preventDefault(); scaleBy(event.deltaY < 0 ? 1.25 : .8); } }, { passive: false });
  on("painted", (image) => { image.version++; list(); });
}
