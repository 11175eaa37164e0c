import { mount } from "./page.js";
import { readPack } from "./source/pack.js";
import { StoredChannel } from "./source/stored.js";
import { CachedSource } from "./source.js";
import { startPage } from "./start.js";
import { State, TRAITS } from "./state.js";

startPage((root, data) => {
  const pack = readPack(data);
  const initial = Object.fromEntries(TRAITS.map((name) => [name, pack.state[name]]));
  const source = new CachedSource(new StoredChannel(pack), pack.seeds);
  mount(root, new State(pack.capture, initial), source, new AbortController().signal, { fill: true });
});
