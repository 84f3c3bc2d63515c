// Answers: asking for them, showing two beside each other, and saying how good they can be expected to be.
import { drawSmall } from "./images.js";
import { draw } from "./paint.js";
import { ask, broughtMask, json, sent } from "./server.js";
import { $, current, emit, examples, on, saveState, say, state, tell } from "./state.js";

const MOST_BYTES = 384e6, SIDES = ["left", "right"];
const KINDS = { none: "nothing", "one-shot": "one example", ensemble: "all examples", tuned: "tuned key" };
const answers = new Map();  // "image/kind" to { map, sure, dice, alike }, the oldest first
let epoch = 0, under = new AbortController(), keyClasses = new Map();

export const nameOf = (kind) => (kind.startsWith("key:") ? `key ${kind.slice(4)}` : KINDS[kind]);
/** The answer that counts: the right one, where there is one. */
export const best = () => (state.right !== "none" ? state.right : state.left);

function forgetWhere(is) { epoch++; for (const name of [...answers.keys()]) if (is(name)) answers.delete(name); }
function remember(name, answer) {
  answers.delete(name); answers.set(name, answer);
  let bytes = 0;
  for (const [other, one] of [...answers].reverse()) { bytes += one.map.length + (one.sure?.length ?? 0); if (bytes > MOST_BYTES && other !== name) answers.delete(other); }
}

const listed = () => Promise.all(examples().slice(0, 16).map(async (image) => ({ image: await sent(image), mask: await broughtMask(image) })));
const missing = (kind) => kind === "none" || ((kind === "one-shot" || kind === "ensemble") && !examples().length) || (kind === "tuned" && !state.tuning);

/** Return an answer, or null where there can be none yet; `asked` names the question for its progress. */
export async function get(image, kind, signal, asked) {
  const name = `${image.id}/${kind}`, born = epoch;
  if (answers.has(name)) return answers.get(name);
  if (missing(kind)) return null;
  for (let again = false; ; again = true) {
    try {
      const key = kind.startsWith("key:") ? kind.slice(4) : null;
      const body = { image: await sent(image), kind: key ? "key" : kind, key, tuning: state.tuning, classes: state.classes, examples: key || kind === "tuned" ? [] : await listed(), ask: asked };
      const answer = await read(await ask("studio/answers", json(body, signal)), image);
      if (born === epoch) remember(name, answer);
      return answer;
    } catch (error) {
      if (error.status === 409 && kind === "tuned") return null;  // nothing to show yet
      if (error.status !== 410 || again) throw error;
      for (const one of state.images) one.sent = false;  // the server was started anew
    }
  }
}
async function read(response, image) {
  const bytes = new Uint8Array(await response.arrayBuffer()), size = image.width * image.height;
  const dice = response.headers.get("x-prompttune-expected-dice"), alike = response.headers.get("x-prompttune-in-domain");
  return { map: bytes.subarray(0, size), sure: bytes.length > size ? bytes.subarray(size) : null, dice: dice === null ? null : +dice, alike: alike === null ? null : alike === "true" };
}

/** One plain sentence on how far an answer can be relied on. */
function trust(side, answer, image) {
  const kind = state[side], name = `${side === "left" ? "Left" : "Right"}, ${nameOf(kind)}`;
  if (!answer) return kind === "tuned" && state.running ? `${name}: the first answer comes with the first validation.` : "";
  if (image.painted && !kind.startsWith("key:")) return `${name}: this image is painted, so its answer says little about the others.`;
  if (answer.alike === false) return `${name}: this image is unlike those that the key learned from, so do not rely on the answer.`;
  if (answer.dice !== null) return `${name}: expect a Dice of about ${answer.dice.toFixed(2)}.`;
  if (answer.sure) return `${name}: nothing was found.`;
  return `${name}: how good it is, only finished keys can tell.`;
}

function showAnswers(image, found) {
  const unsure = $("unsure").checked;
  for (const [index, id] of SIDES.entries()) {
    $(id).getContext("2d").clearRect(0, 0, image.width, image.height);
    if (found[index]) draw($(id), found[index].map, image.width, image.height, undefined, unsure ? found[index].sure : null);
    say(trust(id, found[index], image), `${id}trust`);
  }
  $("correct").disabled = !found[0] && !found[1];
  $("slide").hidden = $("divider").hidden = !(found[0] && found[1]);
  slide();
}

/** Say how far an answer is, each second, until `is_over`. */
async function follow(image, asked, isOver) {
  for (;;) {
    await new Promise((done) => setTimeout(done, 1000));
    if (isOver()) return;
    const { share } = await (await ask(`studio/answers/${asked}`)).json();
    if (!isOver() && share) say(`Answering ${image.name}: ${Math.floor(100 * share)} %.`, "answering");
  }
}

export const answer = tell(async () => {
  under.abort();
  const { signal } = under = new AbortController(), image = current(), over = () => signal.aborted || image !== current();
  if (!image) { showNothing(); return; }
  const wanted = SIDES.map((side) => state[side]), known = wanted.map((kind) => answers.get(`${image.id}/${kind}`) ?? null);
  showAnswers(image, known);  // what is shown is never another prompt's
  const found = [];
  let done = false;
  try {
    for (const [index, kind] of wanted.entries()) {
      if (known[index] || missing(kind)) { found.push(known[index]); continue; }
      const asked = crypto.randomUUID();
      say(`Answering ${image.name}…`, "answering"); $("halt").hidden = false; done = false;
      follow(image, asked, () => done || over()).catch(() => {});
      found.push(await get(image, kind, signal, asked));
      done = true;
      if (over()) return;
    }
  } catch (error) { if (!over()) say("", "answering"); throw error; } finally { done = true; if (!over()) $("halt").hidden = true; }
  if (over()) return;
  showAnswers(image, found);
  say(found.some(Boolean) ? `${image.name} is answered.` : examples().length ? "Choose an answer." : "Paint a class on an image, or pick a key.", "answering");
  emit("answered");
  await others(signal);
});
function showNothing() { for (const line of ["answering", "lefttrust", "righttrust"]) say("", line); $("correct").disabled = true; $("slide").hidden = $("divider").hidden = true; }

/** Answer the other images too, one after the other, into their small pictures. */
async function others(signal) {
  const kind = best(), all = [current(), ...state.images.filter((image) => image !== current())];
  for (const image of all) {
    if (signal.aborted) return;
    const ready = image.painted ? { map: image.map } : answers.get(`${image.id}/${kind}`);
    await drawSmall(image, ready?.map);
    if (signal.aborted) return;  // what was known of the image may be another by now
    if (ready || missing(kind) || (kind === "tuned" && state.running)) continue;
    say(`Answering the others: ${image.name}…`, "answering"); $("halt").hidden = false;
    await drawSmall(image, (await get(image, kind, signal))?.map);
  }
  if (!signal.aborted) $("halt").hidden = true;
  if (!signal.aborted && all.length > 1 && !missing(kind)) say("All images are answered.", "answering");
}

export const halt = () => { if ($("halt").hidden) return; under.abort(); $("halt").hidden = true; say("Answering is stopped. Press A to answer again.", "answering"); };

function slide() {
  const both = !$("slide").hidden, at = +$("slider").value;
  $("left").style.clipPath = both ? `inset(0 ${100 - at}% 0 0)` : ""; $("right").style.clipPath = both ? `inset(0 0 0 ${at}%)` : "";
  $("divider").style.left = `${at}%`;
}

export const choose = (side, kind) => { state[side] = kind; $(`${side}kind`).value = kind; saveState(); answer(); };
/** Offer the answers that there are: examples, the tuned key, and the keys of the zoo. */
export function offer(zoo) {
  keyClasses = new Map(zoo.map((key) => [`key:${key.name}`, key.classes]));
  for (const side of SIDES) {
    if (state[side].startsWith("key:") && !keyClasses.has(state[side])) { say(`The key ${state[side].slice(4)} is not in the zoo any more.`, "problem"); state[side] = "none"; }
    $(`${side}kind`).replaceChildren(...[...Object.keys(KINDS), ...keyClasses.keys()].map((kind) => new Option(nameOf(kind), kind)));
    $(`${side}kind`).value = state[side];
  }
}
/** The classes of an answer; a key has its own. */
export const classesOf = (kind) => keyClasses.get(kind) ?? state.classes;

export function begin() {
  for (const side of SIDES) $(`${side}kind`).onchange = () => choose(side, $(`${side}kind`).value);
  $("slider").oninput = slide;
  $("unsure").onchange = answer;
  $("halt").onclick = halt;
  on("shown", answer);
  on("painted", () => { forgetWhere((name) => /\/(one-shot|ensemble)$/.test(name)); answer(); });
  on("classes", () => { forgetWhere((name) => /\/(one-shot|ensemble)$/.test(name)); answer(); });
  on("removed", (image) => forgetWhere((name) => name.startsWith(`${image.id}/`) || /\/(one-shot|ensemble)$/.test(name)));
  on("tuned", () => { forgetWhere((name) => name.endsWith("/tuned")); if (SIDES.some((side) => state[side] === "tuned")) answer(); });
  on("keys", () => forgetWhere((name) => name.includes("/key:")));
}
