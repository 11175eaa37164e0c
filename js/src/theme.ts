import { atEnd } from "./basics.js";
import type { Traits } from "./state.js";

/** Whether the page around a view is dark: the host's own sign first, then the system's wish. */
export function hostIsDark(): boolean {
  const { body, documentElement: html } = document;
  const lab = body.dataset.jpThemeLight;
  if (lab !== undefined) return lab === "false";
  const names = `${body.className} ${html.className}`;
  if (/\bvscode-(dark|high-contrast)\b(?!-light)/.test(names)) return true;
  if (/\bvscode-(light|high-contrast-light)\b/.test(names)) return false;
  const editor = getComputedStyle(html).getPropertyValue("--vscode-editor-background").trim();
  const light = editor ? lightness(editor) : null;
  if (light !== null) return light < 0.5;
  const said = body.dataset.theme ?? html.dataset.theme ?? html.getAttribute("theme");
  if (said === "dark" || said === "light") return said === "dark";
  if (/(^|\s)dark(-theme|-mode)?(\s|$)/.test(names)) return true;
  if (/(^|\s)light(-theme|-mode)?(\s|$)/.test(names)) return false;
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function lightness(color: string): number | null {
  const hex =
    /^#([0-9a-f]{6})/i.exec(color)?.[1] ?? /^#([0-9a-f]{3})$/i.exec(color)?.[1]?.replace(/./g, "$&$&");
  const parts = hex
    ? [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16))
    : /^rgba?\(([^)]+)\)/
        .exec(color)?.[1]
        ?.split(/[\s,/]+/)
        .slice(0, 3)
        .map(Number);
  if (!parts || parts.length < 3 || parts.some(Number.isNaN)) return null;
  const [red, green, blue] = parts as [number, number, number];
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}

export function followTheme(
  wish: () => Traits["theme"],
  tell: (dark: boolean) => void,
  life: AbortSignal,
): () => void {
  const update = () => {
    const theme = wish();
    tell(theme === "auto" ? hostIsDark() : theme === "dark");
  };
  const observer = new MutationObserver(update);
  const attributeFilter = [
    "class",
    "style",
    "data-jp-theme-light",
    "data-theme",
    "theme",
    "data-vscode-theme-kind",
  ];
  for (const node of [document.body, document.documentElement]) observer.observe(node, { attributeFilter });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update, { signal: life });
  atEnd(life, () => observer.disconnect());
  return update;
}
