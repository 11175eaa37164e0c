import { type ReadonlySignal, signal } from "@preact/signals-core";
import { atEnd, givenUp } from "../basics.js";
import { decodeReply } from "../decode.js";
import { type DataRequest, type Message, type ProfileRequest, type Reply, VERSION } from "../protocol.js";
import { isReply } from "../protocol-check.js";
import { LANES, type Lane, laneOf } from "./lanes.js";

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
  lane: Lane;
  signal: AbortSignal;
  tries: number;
  settle(reply: Reply): void;
  fail(error: unknown): void;
}

interface Flight {
  job: Job;
  timer: ReturnType<typeof setTimeout>;
  /** When it was asked whether the kernel, long at work on this, is still there. */
  probed?: number;
}

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
  #heard = 0;
  #session = `p${Math.random().toString(36).slice(2, 8)}`;

  constructor(
    readonly port: Port,
    readonly life: AbortSignal,
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
      const leave = () => this.#abort(job);
      const stay = () => signal.removeEventListener("abort", leave);
      const job: Job = {
        request,
        lane: laneOf(request),
        signal,
        tries: 0,
        settle: (reply) => {
          stay();
          settle(reply);
        },
        fail: (error) => {
          stay();
          fail(error);
        },
      };
      atEnd(signal, leave);
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
    for (const [lane, most] of LANES) {
      let flying = [...this.#flights.values()].filter(({ job }) => job.lane === lane).length;
      for (; flying < most; flying++) {
        const at = this.#queue.map((job) => job.lane).lastIndexOf(lane);
        const [job] = at < 0 ? [] : this.#queue.splice(at, 1);
        if (!job) break;
        this.#depart(job);
      }
    }
  }

  #depart(job: Job): void {
    const id = `${this.#session}-${++serial}`;
    const wait = this.#patienceFor(job);
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

  #patienceFor({ request, lane }: Job): number {
    if (this.status.value === "silent" || request.type === "hello") return this.impatience;
    return lane === "near" ? this.patience : this.patience * 6;
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
    if (this.#isAtWork(id)) return;
    const flight = this.#land(id);
    if (!flight) return;
    const { job } = flight;
    const again = job.tries < 2 && this.status.value !== "silent";
    if (again) {
      if (job.request.type !== "hello") this.#send({ type: "cancel", id }, () => {});
      this.#depart(job);
      return;
    }
    this.status.value = "silent";
    job.fail(new KernelError(NO_ANSWER));
    this.#pump();
  }

  /** Whether a long answer is to be waited for: the kernel is asked if it is there, and speaks. */
  #isAtWork(id: string): boolean {
    const flight = this.#flights.get(id);
    if (!flight || flight.job.lane === "near" || this.status.value === "silent") return false;
    const { probed } = flight;
    if (probed !== undefined && this.#heard <= probed) return false;
    if (probed === undefined) {
      flight.probed = performance.now();
      this.greet(this.life);
    } else delete flight.probed;
    const wait = probed === undefined ? this.impatience : this.#patienceFor(flight.job);
    flight.timer = setTimeout(() => this.#late(id), wait);
    return true;
  }

  #receive(content: unknown, buffers: readonly unknown[]): void {
    if (!isReply(content)) return;
    // An answer that comes too late still shows that somebody is there.
    if (!content.id.startsWith(this.#session)) return;
    this.#heard = performance.now();
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
