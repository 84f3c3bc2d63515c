// The classes: their names, their colors, and which one is painted.
import { chosen, pick } from "./brush.js";
import { colorOf } from "./paint.js";
import { $, emit, saveState, say, state } from "./state.js";

const MOST = 20;

export function choose(number) {
  if (number > state.classes.length) return;
  chosen.number = number;
  if (chosen.tool === "eraser") pick("brush");
  list();
}

function changedClasses() { saveState(); list(); emit("classes"); }

function rename(index, name) {
  const taken = state.classes.some((one, other) => other !== index && one === name);
  if (taken) say(`Two classes cannot both be called ${name}.`, "problem");
  state.classes[index] = !name || taken ? state.classes[index] : name;
  changedClasses();
}

function add() {
  if (state.classes.length >= MOST) return say(`There can be ${MOST} classes at most.`, "problem");
  let number = state.classes.length + 1;
  while (state.classes.includes(`class ${number}`)) number++;
  state.classes.push(`class ${number}`);
  chosen.number = state.classes.length;
  changedClasses();
}

function removeLast() {
  const number = state.classes.length;
  if (state.images.some((image) => image.painted && image.map.includes(number))) return say(`Erase ${state.classes.at(-1)} from all images first; then it can be removed.`, "problem");
  state.classes.pop();
  chosen.number = Math.min(chosen.number, state.classes.length);
  changedClasses();
}

export function list() {
  const rows = state.classes.map((name, index) => {
    const row = document.createElement("span"), button = document.createElement("button"), swatch = document.createElement("span"), input = document.createElement("input");
    row.className = "class";
    swatch.className = "swatch"; swatch.style.background = `rgb(${colorOf(index + 1)})`;
    button.append(swatch, String(index + 1));
    button.title = `Paint this class (${index + 1})`;
    button.setAttribute("aria-pressed", String(chosen.number === index + 1)); button.setAttribute("aria-label", `Paint ${name}`);
    button.onclick = () => choose(index + 1);
    input.value = name; input.maxLength = 64; input.setAttribute("aria-label", `Name of class ${index + 1}`);
    input.onchange = () => rename(index, input.value.trim());
    row.append(button, input);
    return row;
  });
  const button = (id, text, does) => Object.assign(document.createElement("button"), { id, textContent: text, onclick: does });
  const more = [button("addclass", "Add a class", add)];
  if (state.classes.length > 1) more.push(button("removeclass", "Remove the last", removeLast));
  $("classes").replaceChildren(...rows, ...more);
}
