import { signal } from "@preact/signals-core";
import type { Channel, Status } from "./kernel.js";

/** A saved notebook without a kernel: what came along in the traits is all there is. */
export class SavedChannel implements Channel {
  readonly status = signal<Status>("stored");

  ask(): Promise<never> {
    return Promise.reject(new Error("This was not saved with the notebook. Run the cell again to see it."));
  }
}
