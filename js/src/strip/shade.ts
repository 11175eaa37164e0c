import type { Palette } from "../draw/palette.js";
import type { PaneShade } from "../views/text-given.js";
import { Shade } from "../views/text-shade.js";
import type { Strip } from "./data.js";
import { bits } from "./words.js";

/** Tokens coloured and underlined by their surprisal. */
export class SurprisalShade extends Shade implements PaneShade {
  /** @param most The end of the scale, one for all texts; what is infinite stands there too. */
  constructor(
    readonly strip: Strip,
    most: number,
    palette: Palette,
  ) {
    // One number more than there are tokens: the scale ends where that is.
    const values = Float32Array.from([...strip.surprisal, most], (value) => Math.min(value, most));
    super([{ short: "", color: [0, 0, 0], values }], palette, "surprisal", "linear");
  }

  override numbers(unit: number): string {
    return bits(this.strip.surprisal[unit] as number);
  }

  exact(unit: number): Record<string, number> {
    return {
      "data-logprob": this.strip.logprobs[unit] as number,
      "data-surprisal": this.strip.surprisal[unit] as number,
    };
  }
}
