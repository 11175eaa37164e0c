import { atEnd } from "./basics.js";
import type { Port } from "./source/kernel.js";

/** The part of an anywidget model that is used here. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): unknown;
  send(content: unknown): unknown;
  on(event: string, handler: (...values: never[]) => void): void;
  off(event: string, handler: (...values: never[]) => void): void;
}

/** A model's custom messages. */
export function portOf(model: Model): Port {
  return {
    send: (content) => model.send(content),
    listen(handler) {
      const receive = (content: unknown, buffers?: unknown[]) => handler(content, buffers ?? []);
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    },
  };
}

/** Hears of an event as long as its owner lives. */
export function follow(model: Model, event: string, run: () => void, life: AbortSignal): void {
  model.on(event, run);
  atEnd(life, () => model.off(event, run));
}
