import { givenUp, messageOf } from "./basics.js";
import { follow, type Model, portOf } from "./model.js";
import { mount } from "./page.js";
import type { CaptureInfo } from "./protocol.js";
import { readCapture, readCompare, readProgress } from "./protocol-check.js";
import { KernelChannel } from "./source/kernel.js";
import { followKernel, keepStored, type Saved, type Shelf, saved, standForIt } from "./source/notebook.js";
import { SavedChannel } from "./source/saved.js";
import { readSeeds } from "./source/seeds.js";
import { CachedSource } from "./source.js";
import { State, TRAITS, type Traits } from "./state.js";

export interface Rendering {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** Joins a state to a model: the page's changes go out, the model's come in. */
export function join(model: Model, life: AbortSignal, capture = describedBy(model)): State {
  const initial = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const publish = (patch: Partial<Traits>) => {
    for (const [name, value] of Object.entries(patch)) model.set(name, value);
    Promise.resolve(model.save_changes()).catch(() => {});
  };
  const state = new State(capture, initial, publish);
  for (const name of TRAITS) {
    follow(model, `change:${name}`, () => state.receive(name, model.get(name)), life);
  }
  const progress = () => {
    state.page.progress.value = readProgress(model.get("progress"));
  };
  follow(model, "change:progress", progress, life);
  progress();
  return state;
}

function describedBy(model: Model): CaptureInfo {
  const compare = readCompare(model.get("_compare"));
  return { ...readCapture(model.get("_capture")), ...(compare && { compare }) };
}

function render({ model, el, signal }: Rendering): () => void {
  const end = new AbortController();
  const life = signal ? AbortSignal.any([signal, end.signal]) : end.signal;
  const isAlone = el.classList.contains("jupyter-widgets-disconnected");
  const kernel = isAlone ? null : new KernelChannel(portOf(model), life);
  const shelf: Shelf = {
    read: () => model.get("_stored"),
    renew: (has) => model.send({ type: "store", has }),
  };
  let shown: { state: State; end: AbortController } | null = null;
  const show = (saved: Saved | null) => {
    const before = shown;
    const mine = new AbortController();
    const whole = AbortSignal.any([life, mine.signal]);
    try {
      const state = join(model, whole, saved?.pack?.capture);
      shown = { state, end: mine };
      if (before) keepChoices(before.state, state);
      const seeds = [...readSeeds(model.get("_first")), ...(saved?.pack?.seeds ?? [])];
      const source = new CachedSource(saved?.channel ?? (kernel as KernelChannel), seeds);
      mount(el, state, source, whole, { stop: () => model.send({ type: "stop" }) });
      standForIt(el, model.get("_mark"), life);
      if (kernel && !saved) keepStored(shelf, state, source, kernel, whole);
    } catch (error) {
      el.textContent = messageOf(error);
    }
    before?.end.abort(givenUp("Another capture is shown."));
  };
  if (kernel) {
    show(null);
    follow(model, "change:_capture", () => show(null), life);
    follow(model, "comm_live_update", () => kernel.lose(life), life);
    followKernel(shelf, kernel, show, () => Boolean(model.get("progress")), life);
  } else {
    const start = (found: Saved | null) => {
      if (!life.aborted) show(found ?? { channel: new SavedChannel() });
    };
    saved(shelf).then(start, () => start(null));
  }
  return () => end.abort(givenUp("The view was removed."));
}

/** What was chosen in the page alone outlives the capture it was chosen with. */
function keepChoices(from: State, to: State): void {
  to.page.wanted.value = from.page.wanted.value;
  to.page.table.value = from.page.table.value;
}

export default { render };
