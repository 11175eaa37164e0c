import { clamp } from "../basics.js";
export type Color = readonly [red: number, green: number, blue: number];

export interface Palette {
  dark: boolean;
  ink: string;
  faint: string;
  line: string;
  ground: string;
  placeholder: string;
  hatch: string;
  accent: string;
  /** One per series, the first for the head selected last. */
  heads: readonly Color[];
  /** The same, dark or light enough to be read as text. */
  inks: readonly Color[];
  /** From no weight to the most, as stops of a ramp. */
  ramp: readonly Color[];
  /** From the most against, over nothing, to the most for. */
  diverging: readonly Color[];
}

// Okabe and Ito's colours, the blues and greens shifted until they also carry text.
const LIGHT_HEADS: Color[] = [
  [11, 98, 200],
  [230, 159, 0],
  [0, 135, 98],
  [190, 60, 120],
  [202, 80, 0],
  [38, 140, 190],
  [108, 82, 170],
  [110, 110, 20],
];

const LIGHT_INKS: Color[] = [
  [11, 98, 200],
  [138, 92, 0],
  [0, 112, 82],
  [178, 50, 110],
  [176, 68, 0],
  [18, 102, 146],
  [108, 82, 170],
  [100, 100, 16],
];

const DARK_HEADS: Color[] = [
  [108, 176, 255],
  [230, 159, 0],
  [45, 190, 145],
  [232, 130, 185],
  [240, 125, 60],
  [110, 205, 235],
  [176, 156, 240],
  [200, 196, 80],
];

/** Kinds that have no order, told apart by a sign too: Tol's muted colours, made to stand on either ground. */
export const ROLE_COLORS: Record<"light" | "dark", readonly Color[]> = {
  light: [
    [51, 34, 136],
    [136, 204, 238],
    [68, 170, 153],
    [221, 204, 119],
    [204, 102, 119],
    [170, 68, 153],
    [17, 119, 51],
    [136, 34, 85],
    [153, 153, 51],
    [187, 187, 187],
  ],
  dark: [
    [140, 126, 230],
    [136, 204, 238],
    [68, 180, 160],
    [221, 204, 119],
    [224, 122, 138],
    [200, 100, 182],
    [60, 165, 95],
    [190, 80, 136],
    [173, 173, 71],
    [120, 126, 134],
  ],
};

export const LIGHT: Palette = {
  dark: false,
  ink: "#1f2328",
  faint: "#57606a",
  line: "#d8dee4",
  ground: "#ffffff",
  placeholder: "#f3f5f8",
  hatch: "#d3d9e0",
  accent: "#0b62c8",
  heads: LIGHT_HEADS,
  inks: LIGHT_INKS,
  ramp: [
    [246, 249, 254],
    [207, 226, 247],
    [116, 172, 232],
    [11, 98, 200],
    [6, 44, 105],
  ],
  diverging: [
    [127, 59, 8],
    [224, 130, 20],
    [253, 214, 160],
    [246, 247, 249],
    [178, 208, 240],
    [64, 135, 214],
    [6, 58, 130],
  ],
};

export const DARK: Palette = {
  dark: true,
  ink: "#e6e9ee",
  faint: "#9aa4b0",
  line: "#2d333b",
  ground: "#15191e",
  placeholder: "#1c2128",
  hatch: "#343b45",
  accent: "#6cb0ff",
  heads: DARK_HEADS,
  inks: DARK_HEADS,
  ramp: [
    [26, 32, 40],
    [35, 58, 88],
    [50, 104, 168],
    [108, 176, 255],
    [214, 233, 255],
  ],
  diverging: [
    [255, 214, 150],
    [224, 140, 40],
    [120, 76, 30],
    [26, 32, 40],
    [36, 74, 124],
    [84, 156, 240],
    [206, 228, 255],
  ],
};

export function css([red, green, blue]: Color, alpha = 1): string {
  return alpha >= 1 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${alpha.toFixed(3)})`;
}

/** The ramp at a strength between 0 and 1. */
export function rampAt(ramp: readonly Color[], strength: number): Color {
  const place = clamp(strength, 0, 1) * (ramp.length - 1);
  const at = Math.min(ramp.length - 2, Math.floor(place));
  const [from, to] = [ramp[at] as Color, ramp[at + 1] as Color];
  const mix = (channel: 0 | 1 | 2) =>
    Math.round(from[channel] + (to[channel] - from[channel]) * (place - at));
  return [mix(0), mix(1), mix(2)];
}

/** Black or white ink, whichever reads better on a colour: with a contrast of at least 4.5. */
export function inkOn([red, green, blue]: Color): string {
  const linear = (value: number) => ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return light > 0.179 ? "#000000" : "#ffffff";
}

/** The series selected last has the first colour, so that adding one keeps the others apart. */
export function seriesColor(palette: Palette, index: number, count: number): Color {
  return palette.heads[(count - 1 - index) % palette.heads.length] as Color;
}

export function seriesInk(palette: Palette, index: number, count: number): Color {
  return palette.inks[(count - 1 - index) % palette.inks.length] as Color;
}
