import { atEnd, givenUp, messageOf } from "./basics.js";
import { mount } from "./page.js";
import { readCapture } from "./protocol.js";
import type { Port } from "./source/kernel.js";
import { KernelChannel } from "./source/kernel.js";
import { SavedChannel } from "./source/saved.js";
import { readSeeds } from "./source/seeds.js";
import { CachedSource } from "./source.js";
import { State, TRAITS, type Traits } from "./state.js";

/** The part of an anywidget model that is used here. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): unknown;
  send(content: unknown): unknown;
  on(event: string, handler: (...values: never[]) => void): void;
  off(event: string, handler: (...values: never[]) => void): void;
}

export interface Rendering {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

function portOf(model: Model): Port {
  return {
    send: (content) => model.send(content),
    listen(handler) {
      const receive = (content: unknown, buffers?: unknown[]) => handler(content, buffers ?? []);
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    },
  };
}

/** Joins a state to a model: the page's changes go out, the model's come in. */
export function join(model: Model, life: AbortSignal): State {
  const initial = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const publish = (patch: Partial<Traits>) => {
    for (const [name, value] of Object.entries(patch)) model.set(name, value);
    Promise.resolve(model.save_changes()).catch(() => {});
  };
  const state = new State(readCapture(model.get("_capture")), initial, publish);
  for (const name of TRAITS) {
    const receive = () => state.receive(name, model.get(name));
    model.on(`change:${name}`, receive);
    atEnd(life, () => model.off(`change:${name}`, receive));
  }
  return state;
}

function render({ model, el, signal }: Rendering): () => void {
  const end = new AbortController();
  const life = signal ? AbortSignal.any([signal, end.signal]) : end.signal;
  try {
    const saved = el.classList.contains("jupyter-widgets-disconnected");
    const state = join(model, life);
    const channel = saved ? new SavedChannel() : new KernelChannel(portOf(model), life);
    const source = new CachedSource(channel, readSeeds(model.get("_first")));
    mount(el, state, source, life);
    if (channel instanceof KernelChannel) {
      const lost = () => {
        channel.status.value = "silent";
      };
      model.on("comm_live_update", lost);
      atEnd(life, () => model.off("comm_live_update", lost));
    }
  } catch (error) {
    el.textContent = messageOf(error);
  }
  return () => end.abort(givenUp("The view was removed."));
}

export default { render };
