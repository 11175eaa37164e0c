import { textAt } from "./attention/axis.js";
import { messageOf } from "./basics.js";
import { type Context, paletteOf } from "./context.js";
import { el } from "./dom.js";
import type { Palette } from "./draw/palette.js";
import { shortHeadName } from "./headname.js";
import type { State } from "./state.js";
import { shown } from "./text.js";
import { type View, viewOf } from "./views/registry.js";

const HEAD = 30;

/** What the save button gives, and why. */
export const SAVES = {
  vector: "Save as SVG, drawn by the kernel in vectors; with Shift as PNG",
  raster: "Save as PNG; SVG needs the kernel, which draws it",
} as const;

/** Whether a kernel is there to draw. */
export const drawsVectors = ({ source }: Context): boolean => source.status.value === "live";

/** Saves the view: as SVG where the kernel draws it, as PNG of the canvas elsewhere. */
export async function saveView(context: Context, view: View | null, raster: boolean): Promise<void> {
  const { state, source, life } = context;
  if (!raster && drawsVectors(context)) {
    const { synced, now, page } = state;
    const traits = Object.fromEntries(Object.entries(synced).map(([name, { value }]) => [name, value]));
    const seen = { view: viewOf(state).name, theme: page.dark.value ? "dark" : "light" };
    const kind = now.kind.value.kind;
    const request = { type: "figure", kind, state: { ...traits, ...seen }, choices: view?.choices?.() ?? {} };
    try {
      const { info } = await source.ask({ ...request, type: "figure" }, life);
      if (typeof info?.svg !== "string") throw new Error("The kernel sent no drawing.");
      const address = URL.createObjectURL(new Blob([info.svg], { type: "image/svg+xml" }));
      hand(state, address, "svg");
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      return;
    } catch (error) {
      if (life.aborted) return;
      page.message.value = `${messageOf(error)} Saved as PNG instead.`;
    }
  }
  download(state, view?.picture() ?? null, paletteOf(state));
}

/** One line that says what a saved picture shows. */
function caption({ capture, now }: State): string {
  const heads = now.heads.value.map((head) => shortHeadName(now.kind.value, head)).join(", ");
  const pinned =
    now.query.value === null ? "" : ` · query “${shown(textAt(now.queries.value, now.query.value))}”`;
  return `${capture.model && `${capture.model} · `}${now.kind.value.label} · ${heads}${pinned}`;
}

function download(state: State, picture: HTMLCanvasElement | null, palette: Palette): void {
  if (!picture) {
    state.page.message.value = "There is nothing to save yet.";
    return;
  }
  const ratio = window.devicePixelRatio || 1;
  const canvas = el("canvas");
  canvas.width = picture.width;
  canvas.height = picture.height + HEAD * ratio;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.fillStyle = palette.ground;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, HEAD * ratio);
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.fillStyle = palette.faint;
  pen.fillText(caption(state), 12, HEAD / 2, canvas.width / ratio - 24);
  hand(state, canvas.toDataURL("image/png"), "png");
}

function hand(state: State, href: string, suffix: string): void {
  const name = `${state.capture.model || "attention"}-${viewOf(state).name}`.replace(/[^\w.-]+/g, "-");
  el("a", { href, download: `${name}.${suffix}` }).click();
}
