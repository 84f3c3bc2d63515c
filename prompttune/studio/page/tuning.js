// Tuning: begin, follow, stop, go on, save.
import { choose } from "./answers.js";
import { list as listKeys } from "./keys.js";
import { broughtMask, get, post, sent } from "./server.js";
import { $, emit, examples, saveState, say, state, tell } from "./state.js";

let version = -1, following = 0;

function buttons(now) {
  state.running = now === "running";
  $("tune").disabled = $("steps").disabled = now === "running";
  $("stop").disabled = now !== "running"; $("goon").disabled = now !== "stopped";
  $("save").disabled = $("name").disabled = now !== "done";
}

/** Draw Dice by validation as a line, with its last value. */
function curve(history) {
  const points = history.map(([, dice], index) => [26 + 204 * (index + 1) / Math.max(5, history.length), 82 - 74 * dice]);
  const shape = (name, attributes, text = "") => { const one = document.createElementNS("http://www.w3.org/2000/svg", name); for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value); one.textContent = text; return one; };
  const axis = [[0, "0"], [1, "1"]].map(([dice, text]) => shape("text", { x: 4, y: 85 - 74 * dice, "font-size": 10 }, text));
  const line = shape("polyline", { fill: "none", stroke: "#00695c", "stroke-width": 2, points: points.map((point) => point.join()).join(" ") });
  $("curve").replaceChildren(...axis, line, ...points.map(([cx, cy]) => shape("circle", { r: 2.5, fill: "#00695c", cx, cy })));
  const told = history.length ? `Dice on what you painted: ${history.at(-1)[1].toFixed(3)}` : "The curve begins with the first validation.";
  say(told, "dice"); $("curve").setAttribute("aria-label", told);
}

function said(now) {
  if (now.problem) { say("", "tuning"); say(now.problem, "problem"); }
  else if (now.state === "done") say("Tuning is done. Name the key and save it.", "tuning");
  else if (now.state === "stopped") say(`Tuning is stopped at step ${now.step}. Go on to its end to save the key.`, "tuning");
  else if (now.step >= now.steps) say("Choosing the threshold…", "tuning");
  else if (!now.history.length) say("Choosing a start; the first validation takes a while.", "tuning");
  else say(`Tuning: step ${now.step} of ${now.steps}.`, "tuning");
}

export const follow = tell(async (turn = ++following) => {
  if (!state.tuning || turn !== following) return;
  let now;
  try { now = await get(`studio/tunings/${state.tuning}`); } catch (error) {
    if (error.status !== 410) { setTimeout(() => follow(turn), 3000); throw error; }
    state.tuning = null; saveState(); buttons(null);
    return say("The server was started anew, and the tuning is lost; tune again.", "problem");
  }
  if (turn !== following) return;
  buttons(now.state);
  $("progress").value = now.step / now.steps;
  curve(now.history);
  if (now.version !== version) { version = now.version; if (version) emit("tuned"); }
  said(now);
  if (now.state === "running") setTimeout(() => follow(turn), 1000);
});

export const tune = tell(async () => {
  if (state.running) return;
  if (!examples().length) return say("Paint a class on an image first.", "problem");
  if (!$("steps").reportValidity()) return;
  say("Tuning begins…", "tuning"); buttons("running"); $("stop").disabled = true;
  try {
    const listed = await Promise.all(examples().slice(0, 16).map(async (image) => ({ image: await sent(image), mask: await broughtMask(image) })));
    state.tuning = (await post("studio/tunings", { classes: state.classes, examples: listed, steps: +$("steps").value })).id;
  } catch (error) { buttons(null); say("", "tuning"); throw error; }
  version = -1; await saveState();
  $("keyfile").hidden = true;
  choose("right", "tuned");
  follow();
});

const save = tell(async () => {
  const name = $("name").value.trim();
  if (!name) { $("name").focus(); return say("Give the key a name first.", "problem"); }
  say("Saving…");
  try { await post(`studio/tunings/${state.tuning}/save`, { name }); } catch (error) { say(""); throw error; }
  Object.assign($("keyfile"), { href: `v1/prompts/${encodeURIComponent(name)}/file`, download: `${name}.safetensors`, hidden: false });
  await listKeys();
  say(`The key ${name} is saved.`);
});

export function begin() {
  $("tune").onclick = tune;
  $("stop").onclick = tell(async () => { $("stop").disabled = true; await post(`studio/tunings/${state.tuning}/stop`); follow(); });
  $("goon").onclick = tell(async () => { $("goon").disabled = true; await post(`studio/tunings/${state.tuning}/go-on`); follow(); });
  $("save").onclick = save;
  $("name").onkeydown = (event) => { if (event.key === "Enter") save(); };
  buttons(null); curve([]);
  say("", "dice");
}
