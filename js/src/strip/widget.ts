import { givenUp, messageOf } from "../basics.js";
import { follow, type Model } from "../model.js";
import { inflate } from "../source/inflate.js";
import { standForIt } from "../source/notebook.js";
import { storedBytes } from "../source/saved.js";
import { readStrips } from "./data.js";
import { mountStrip } from "./page.js";
import { type Choices, StripState, TRAITS } from "./state.js";

interface Rendering {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

async function show(model: Model, host: HTMLElement, life: AbortSignal): Promise<void> {
  const bytes = storedBytes(model.get("_data"));
  const strips = readStrips(await inflate([bytes.slice()].values()));
  if (life.aborted) return;
  const publish = (patch: Partial<Choices>) => {
    for (const [name, value] of Object.entries(patch)) model.set(name, value);
    Promise.resolve(model.save_changes()).catch(() => {});
  };
  const initial = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const state = new StripState(strips, initial, publish);
  for (const name of TRAITS) {
    follow(model, `change:${name}`, () => state.receive(name, model.get(name)), life);
  }
  mountStrip(host, state, life);
  standForIt(host, model.get("_mark"), life);
}

function render({ model, el, signal }: Rendering): () => void {
  const end = new AbortController();
  const life = signal ? AbortSignal.any([signal, end.signal]) : end.signal;
  show(model, el, life).catch((error: unknown) => {
    if (!life.aborted) el.textContent = messageOf(error);
  });
  return () => end.abort(givenUp("The view was removed."));
}

export default { render };
