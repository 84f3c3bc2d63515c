// The keys of the zoo, with their previews; new ones appear when the page is looked at again.
import { choose, offer } from "./answers.js";
import { get } from "./server.js";
import { $, emit, tell } from "./state.js";

let shown = "";

export async function list() {
  const zoo = (await get("v1/prompts")).filter((key) => key.fits), now = JSON.stringify(zoo);
  if (now === shown) return;
  shown = now;
  emit("keys");
  offer(zoo);
  $("zoo").replaceChildren(...zoo.map((key) => {
    const row = document.createElement("li"), button = document.createElement("button"), picture = document.createElement("img");
    picture.src = `v1/prompts/${encodeURIComponent(key.name)}/preview`; picture.alt = "";
    picture.onerror = () => picture.remove();
    button.append(`${key.name}: ${key.classes.join(", ")}`, picture);
    button.onclick = () => choose("left", `key:${key.name}`);
    row.append(button);
    return row;
  }));
}

export const begin = () => addEventListener("focus", tell(list));
