// Asks the server; every refusal is one sentence.

export async function ask(path, options = {}) {
  let response;
  try { response = await fetch(path, options); } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  let text = `The server answered ${response.status}.`;
  try { text = (await response.json()).error; } catch { /* not JSON */ }
  throw Object.assign(new Error(text), { status: response.status });
}
export const json = (body, signal) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
export const get = async (path) => (await ask(path)).json();
export const post = async (path, body) => (await ask(path, body === undefined ? { method: "POST" } : json(body))).json();

/** Bring an image, unless the server has it; return the server's name for it. */
export async function sent(image) {
  if (!image.sent) { await ask("studio/images", { method: "POST", body: image.file }); image.sent = true; }
  return image.id;
}
const masks = new WeakMap();  // what was brought of an image, as it was then
/** Bring a class map; return the server's name for it. */
export async function bring(map) { return (await (await ask("studio/masks", { method: "POST", body: map })).json()).id; }
/** Bring what is painted on an image, unless it was brought already. */
export async function broughtMask(image) {
  const known = masks.get(image);
  if (known?.version === image.version && image.sent) return known.id;
  const version = image.version, id = await bring(image.map);
  masks.set(image, { version, id });
  return id;
}
