import { textAt } from "./attention/axis.js";
import { el } from "./dom.js";
import type { Palette } from "./draw/palette.js";
import { shortHeadName } from "./headname.js";
import type { State } from "./state.js";
import { shown } from "./text.js";

const HEAD = 30;

/** One line that says what a saved picture shows. */
function caption({ capture, now }: State): string {
  const heads = now.heads.value.map((head) => shortHeadName(now.kind.value, head)).join(", ");
  const pinned =
    now.query.value === null ? "" : ` · query “${shown(textAt(now.queries.value, now.query.value))}”`;
  return `${capture.model && `${capture.model} · `}${now.kind.value.label} · ${heads}${pinned}`;
}

export function download(state: State, picture: HTMLCanvasElement | null, palette: Palette): void {
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
  const name = `${state.capture.model || "attention"}-${state.synced.view.value}`.replace(/[^\w.-]+/g, "-");
  const link = el("a", { href: canvas.toDataURL("image/png"), download: `${name}.png` });
  link.click();
}
