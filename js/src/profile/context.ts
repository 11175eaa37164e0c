import type { Ground } from "../context.js";
import type { KernelChannel } from "../source/kernel.js";
import type { ProfileState } from "./state.js";

/** What every part of the page is handed; as ground for controls that know nothing of profiles. */
export interface ProfileContext extends Ground {
  profile: ProfileState;
  /** Where to ask for what is not here; null in a page of its own. */
  channel: KernelChannel | null;
  /** Whether the kernel can capture a text. */
  opens: () => boolean;
}
