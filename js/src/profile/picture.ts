import { el } from "../dom.js";
import type { KernelChannel } from "../source/kernel.js";
import type { ProfileState } from "./state.js";

/** Saves the view as SVG, which the kernel draws. */
export async function saveProfile(
  channel: KernelChannel | null,
  state: ProfileState,
  dark: boolean,
  life: AbortSignal,
): Promise<void> {
  if (!channel) return;
  const seen = { ...state.all(), theme: dark ? "dark" : "light" };
  const { info } = await channel.ask({ type: "figure", state: seen }, life);
  if (typeof info?.svg !== "string") throw new Error("The kernel sent no drawing.");
  const href = URL.createObjectURL(new Blob([info.svg], { type: "image/svg+xml" }));
  const name = `${state.profile.model || "heads"}-profile`.replace(/[^\w.-]+/g, "-");
  el("a", { href, download: `${name}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
