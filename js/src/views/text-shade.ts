import { formOf } from "../attention/measure.js";
import { type ColorScale, type Domain, domainOf, strengthOf } from "../attention/strength.js";
import { type Color, css, inkOn, type Palette, rampAt } from "../draw/palette.js";
import { fixed } from "../text.js";

export interface ShadedSeries {
  short: string;
  color: Color;
  values: Float32Array;
}

export interface Look {
  /** CSS background; empty where there is nothing to see. */
  background: string;
  ink: string;
  masked: boolean;
}

const PLAIN: Look = { background: "", ink: "", masked: false };
const BAND = 4;
const FAINTEST = 0.02;

/** How the tokens of a text look: one series tints them, several underline them. */
export class Shade {
  readonly domain: Domain;
  readonly signed: boolean;
  #strength: (value: number) => number;

  constructor(
    readonly series: readonly ShadedSeries[],
    readonly palette: Palette,
    readonly measure: string,
    scale: ColorScale,
  ) {
    const form = formOf(measure);
    this.signed = form === "signed";
    const found = domainOf(series.map(({ values }) => values));
    const size = Math.max(Math.abs(found.least), Math.abs(found.most));
    const ends = { share: { ...found, least: 0 }, score: found, signed: { least: -size, most: size } };
    this.domain = ends[form];
    const reach = this.signed ? { least: 0, most: size } : this.domain;
    const all = function* () {
      for (const { values } of series)
        for (const value of values) yield form === "signed" ? Math.abs(value) : value;
    };
    this.#strength = strengthOf(scale, reach, all);
  }

  /** Pixels of underlines below the text. */
  get foot(): number {
    return this.series.length > 1 ? this.series.length * (BAND + 1) : BAND;
  }

  color(value: number): Color {
    const strength = this.#strength(this.signed ? Math.abs(value) : value);
    if (!this.signed) return rampAt(this.palette.ramp, strength);
    return rampAt(this.palette.diverging, 0.5 + (Math.sign(value) * strength) / 2);
  }

  /** Between 0 and 1. */
  strength(series: number, unit: number): number {
    const value = this.series[series]?.values[unit] ?? Number.NaN;
    return this.#strength(this.signed ? Math.abs(value) : value);
  }

  look(unit: number): Look {
    const [only, ...others] = this.series;
    if (!only) return PLAIN;
    const masked = this.series.every(({ values }) => Number.isNaN(values[unit]));
    if (masked) return { ...PLAIN, masked };
    if (others.length > 0) return { ...PLAIN, background: this.#underlines(unit) };
    const strength = this.strength(0, unit);
    if (!(strength > FAINTEST)) return PLAIN;
    const color = this.color(only.values[unit] as number);
    const band = strength * (BAND - 1);
    const ink = inkOn(color);
    return {
      background: `linear-gradient(${ink},${ink}) 0 100%/100% ${band.toFixed(1)}px no-repeat,${css(color)}`,
      ink,
      masked,
    };
  }

  /** The line of the series selected last stands nearest to the text. */
  #underlines(unit: number): string {
    const layers: string[] = [];
    this.series.forEach(({ color, values }, at) => {
      const strength = this.strength(at, unit);
      if (!(strength > FAINTEST)) return;
      const paint = css(color, 0.35 + 0.65 * strength);
      const image =
        (values[unit] as number) < 0
          ? `repeating-linear-gradient(90deg,${paint} 0 3px,transparent 3px 6px)`
          : `linear-gradient(${paint},${paint})`;
      const thick = Math.max(1, strength * BAND);
      layers.push(
        `${image} 0 calc(100% - ${at * (BAND + 1) + BAND - thick}px)/100% ${thick.toFixed(1)}px no-repeat`,
      );
    });
    return layers.join(",");
  }

  /** The exact numbers of a token. */
  numbers(unit: number, digits: number): string {
    const one = this.series.length === 1;
    return [...this.series]
      .reverse()
      .map(({ short, values }) => `${one ? "" : `${short} `}${fixed(values[unit] ?? Number.NaN, digits)}`)
      .join(" · ");
  }

  /** The same look on a picture to save. */
  draw(pen: CanvasRenderingContext2D, unit: number, { x, y, width, height }: DOMRect): void {
    const { background, masked } = this.look(unit);
    pen.fillStyle = masked ? this.palette.faint : this.palette.ink;
    if (background === "") return;
    if (this.series.length === 1) {
      const color = this.color(this.series[0]?.values[unit] as number);
      pen.fillStyle = css(color);
      pen.fillRect(x, y, width, height);
      pen.fillStyle = inkOn(color);
      return;
    }
    this.series.forEach(({ color }, at) => {
      const strength = this.strength(at, unit);
      if (!(strength > FAINTEST)) return;
      const thick = Math.max(1, strength * BAND);
      pen.fillStyle = css(color, 0.35 + 0.65 * strength);
      pen.fillRect(x, y + height - at * (BAND + 1) - BAND, width, thick);
    });
    pen.fillStyle = this.palette.ink;
  }
}
