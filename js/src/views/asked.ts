import { type Signal, signal } from "@preact/signals-core";
import { atEnd, givenUp, messageOf } from "../basics.js";
import type { Context } from "../context.js";
import type { DataRequest, Reply } from "../protocol.js";

export interface Answered<Request> {
  request: Request;
  reply: Reply;
}

/** One question at a time: a new one cancels the one before, whose answer stays until the new answer is here. */
export class Asked<Request extends DataRequest> {
  readonly answer: Signal<Answered<Request> | null> = signal(null);
  #name = "";
  #controller: AbortController | null = null;

  constructor(readonly context: Context) {
    atEnd(context.life, () => this.#controller?.abort(givenUp()));
  }

  ask(request: Request | null): void {
    const name = JSON.stringify(request);
    if (name === this.#name) return;
    this.#name = name;
    this.#controller?.abort(givenUp());
    if (!request) {
      this.answer.value = null;
      return;
    }
    const { source, state } = this.context;
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    source.ask(request, signal).then(
      (reply) => {
        if (signal.aborted) return;
        state.page.message.value = "";
        this.answer.value = { request, reply };
      },
      (error: unknown) => {
        if (signal.aborted) return;
        this.answer.value = null;
        state.page.message.value = messageOf(error);
      },
    );
  }
}
