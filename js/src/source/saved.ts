import { signal } from "@preact/signals-core";
import { bytesOf } from "../decode.js";
import type { Channel, Status } from "./kernel.js";

/** A saved notebook without a kernel and with nothing stored: what came along in the traits is all there is. */
export class SavedChannel implements Channel {
  readonly status = signal<Status>("stored");

  ask(): Promise<never> {
    return Promise.reject(new Error("This was not stored in this notebook; run the cell to see it."));
  }
}

/** The bytes of a trait; none where it holds none. */
export function storedBytes(value: unknown): Uint8Array {
  try {
    return bytesOf(value);
  } catch {
    return new Uint8Array(0);
  }
}
