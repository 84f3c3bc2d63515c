// The browser's own storage: what a reload must not lose, for each tab by itself.

const DAYS = 30;

/** The tab's own name: it outlives a reload, and a duplicated tab gets another. */
export async function tabName() {
  let name = sessionStorage.getItem("tab");
  const take = (one) => new Promise((done) => navigator.locks.request(`tab-${one}`, { ifAvailable: true }, (lock) => { done(!!lock); return lock ? new Promise(() => {}) : undefined; }));
  for (let wait = 0; name && wait < 10; wait++) {  // the page that is being left may hold it a moment more
    if (await take(name)) return name;
    await new Promise((done) => setTimeout(done, 100));
  }
  name = crypto.randomUUID();
  await take(name);
  sessionStorage.setItem("tab", name);
  return name;
}

const opened = new Promise((done, fail) => {
  const request = indexedDB.open("prompttune-studio", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("kept");
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});
async function store(mode, work) {
  const transaction = (await opened).transaction("kept", mode);
  return new Promise((done, fail) => {
    const request = work(transaction.objectStore("kept"));
    transaction.oncomplete = () => done(request.result);
    transaction.onerror = transaction.onabort = () => fail(new Error("The browser cannot keep this: its storage is full. Close other tabs, or remove images."));
  });
}
export const keep = (key, value) => store("readwrite", (kept) => kept.put(value, key));
export const kept = (key) => store("readonly", (kept) => kept.get(key));
export const drop = (key) => store("readwrite", (kept) => kept.delete(key));

/** Forget tabs that were closed long ago: their images fill the disk. */
export async function forgetOld() {
  const keys = await store("readonly", (all) => all.getAllKeys());
  for (const key of keys.filter((one) => one.endsWith("/state"))) {
    const saved = (await kept(key))?.saved ?? 0, owner = key.slice(0, key.lastIndexOf("/") + 1);
    if (saved && Date.now() - saved > DAYS * 86400e3) for (const one of keys) if (one.startsWith(owner)) await drop(one);
  }
}
