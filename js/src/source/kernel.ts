import { type ReadonlySignal, signal } from "@preact/signals-core";
import { atEnd, givenUp } from "../basics.js";
import { decodeReply } from "../decode.js";
import { type DataRequest, type Message, type ProfileRequest, type Reply, VERSION } from "../protocol.js";
import { isReply } from "../protocol-check.js";

export type Status = "live" | "stored" | "silent" | "other";

/** What answers a request that the cache cannot. */
export interface Channel {
  readonly status: ReadonlySignal<Status>;
  ask(request: DataRequest, signal: AbortSignal): Promise<Reply>;
}

/** The two ends of a comm. `send` may throw, or return a promise that rejects. */
export interface Port {
  send(content: unknown): unknown;
  listen(handler: (content: unknown, buffers: readonly unknown[]) => void): () => void;
}

export class KernelError extends Error {
  override name = "KernelError";
}

interface Job {
  request: DataRequest | ProfileRequest | { type: "hello" };
  signal: AbortSignal;
  tries: number;
  settle(reply: Reply): void;
  fail(error: unknown): void;
}

interface Flight {
  job: Job;
  timer: ReturnType<typeof setTimeout>;
}

const IN_FLIGHT = 2;
/** Questions about all heads or all tokens, which take the kernel longer. */
const LONG = new Set([
  "statistic",
  "overview",
  "overviews",
  "pair",
  "likeness",
  "roles",
  "findings",
  "links",
  "ablate",
  "figure",
  "open",
]);
const NO_ANSWER = "The kernel does not answer. It may be busy or gone; what is already here still works.";

let serial = 0;

export class KernelChannel implements Channel {
  readonly status = signal<Status>("live");
  /** Whether the kernel ever spoke. */
  readonly answered = signal(false);
  /** What the kernel is when it answers: of this version until it says otherwise. */
  #answering: Status = "live";
  #queue: Job[] = [];
  #flights = new Map<string, Flight>();
  #session = `p${Math.random().toString(36).slice(2, 8)}`;

  constructor(
    readonly port: Port,
    life: AbortSignal,
    readonly patience = 10_000,
    readonly impatience = 3_000,
  ) {
    const stop = port.listen((content, buffers) => this.#receive(content, buffers));
    atEnd(life, () => {
      stop();
      for (const [id, flight] of this.#flights) {
        this.#land(id);
        flight.job.fail(givenUp("The view was removed."));
      }
      this.#queue = [];
    });
    this.greet(life);
  }

  /** Asks whether somebody is there; the status says so. */
  greet(signal: AbortSignal): void {
    this.#enqueue({ type: "hello" }, signal).catch(() => {});
  }

  /** Takes the kernel for gone until it speaks again. */
  lose(signal: AbortSignal): void {
    this.status.value = "silent";
    this.greet(signal);
  }

  ask(request: DataRequest | ProfileRequest, signal: AbortSignal): Promise<Reply> {
    return this.#enqueue(request, signal);
  }

  #enqueue(request: Job["request"], signal: AbortSignal): Promise<Reply> {
    return new Promise((settle, fail) => {
      if (signal.aborted) return fail(signal.reason);
      const job: Job = { request, signal, tries: 0, settle, fail };
      atEnd(signal, () => this.#abort(job));
      this.#queue.push(job);
      this.#pump();
    });
  }

  #abort(job: Job): void {
    job.fail(job.signal.reason);
    const waiting = this.#queue.indexOf(job);
    if (waiting >= 0) this.#queue.splice(waiting, 1);
    for (const [id, flight] of this.#flights) {
      if (flight.job !== job) continue;
      this.#land(id);
      this.#send({ type: "cancel", id }, () => {});
    }
    this.#pump();
  }

  #pump(): void {
    while (this.#flights.size < IN_FLIGHT) {
      const job = this.#queue.pop();
      if (!job) return;
      this.#depart(job);
    }
  }

  #depart(job: Job): void {
    const id = `${this.#session}-${++serial}`;
    const wait = this.#patienceFor(job.request.type);
    const timer = setTimeout(() => this.#late(id), wait);
    this.#flights.set(id, { job, timer });
    job.tries += 1;
    const message: Message = { ...job.request, id };
    this.#send(message, () => {
      if (!this.#land(id)) return;
      this.status.value = "silent";
      job.fail(new KernelError(NO_ANSWER));
      this.#pump();
    });
  }

  #patienceFor(type: string): number {
    if (this.status.value === "silent" || type === "hello") return this.impatience;
    return LONG.has(type) ? this.patience * 6 : this.patience;
  }

  #send(content: unknown, failed: () => void): void {
    try {
      Promise.resolve(this.port.send(content)).catch(failed);
    } catch {
      queueMicrotask(failed);
    }
  }

  #land(id: string): Flight | undefined {
    const flight = this.#flights.get(id);
    if (flight) clearTimeout(flight.timer);
    this.#flights.delete(id);
    return flight;
  }

  #late(id: string): void {
    const flight = this.#land(id);
    if (!flight) return;
    const { job } = flight;
    const again = job.tries < 2 && this.status.value !== "silent";
    if (again) {
      this.#depart(job);
      return;
    }
    this.status.value = "silent";
    job.fail(new KernelError(NO_ANSWER));
    this.#pump();
  }

  #receive(content: unknown, buffers: readonly unknown[]): void {
    if (!isReply(content)) return;
    // An answer that comes too late still shows that somebody is there.
    if (!content.id.startsWith(this.#session)) return;
    if (content.type === "hello") this.#answering = content.version === VERSION ? "live" : "other";
    this.answered.value = true;
    this.status.value = this.#answering;
    const flight = this.#land(content.id);
    if (!flight) return;
    const { job } = flight;
    try {
      if (content.error) throw new KernelError(content.error.message);
      if (content.type === "hello") job.settle({ shape: [], data: new Float32Array(0) });
      else job.settle(decodeReply(content, buffers[0]));
    } catch (error) {
      job.fail(error);
    }
    this.#pump();
  }
}
