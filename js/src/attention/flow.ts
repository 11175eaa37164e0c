import { eachVisible, type Mask } from "./mask.js";

/** Share of its own vector that a token keeps in each layer (Abnar & Zuidema 2020). */
export const RESIDUAL = 0.5;

/** One link from a token after a layer to a token before it. */
export interface Link {
  above: number;
  below: number;
  share: number;
  /** What it would be under uniform attention. */
  chance: number;
}

/** Half the mean weights and half the token itself, scaled to sum 1; a token that sees nothing stays itself. */
export function mixed(mean: Float32Array, token: number): Float32Array {
  const out = mean.map((weight) => (Number.isNaN(weight) ? 0 : weight * (1 - RESIDUAL)));
  out[token] = (out[token] as number) + RESIDUAL;
  const total = out.reduce((sum, share) => sum + share, 0);
  return out.map((share) => share / total);
}

/** Uniform attention over what a token sees, mixed in the same way. */
export function uniform(mask: Mask, token: number, tokens: number): Float32Array {
  const mean = new Float32Array(tokens);
  const seen: number[] = [];
  eachVisible(mask, token, tokens, (key) => seen.push(key));
  for (const key of seen) mean[key] = 1 / seen.length;
  return mixed(mean, token);
}

/** Follows one token's content down through the layers, row by row, and keeps the strongest links of each layer. */
export class Descent {
  /** [level + 1, tokens]: what passes through each token at each level. */
  readonly shares: Float64Array;
  readonly chances: Float64Array;
  readonly links: Link[][];
  #candidates: Link[] = [];
  #least = 0;

  constructor(
    readonly tokens: number,
    readonly level: number,
    query: number,
    readonly keep: number,
    readonly excess: boolean,
  ) {
    this.shares = new Float64Array((level + 1) * tokens);
    this.chances = new Float64Array((level + 1) * tokens);
    this.links = Array.from({ length: level }, () => []);
    this.shares[level * tokens + query] = 1;
    this.chances[level * tokens + query] = 1;
  }

  /** What a token holds above a layer, by the weights and by chance; nothing flows where both are 0. */
  above(row: number, token: number): [share: number, chance: number] {
    const at = (row + 1) * this.tokens + token;
    return [this.shares[at] as number, this.chances[at] as number];
  }

  /** Passes one token's content down a layer. */
  pass(row: number, token: number, real: Float32Array | null, even: Float32Array | null): void {
    const [share, chance] = this.above(row, token);
    const start = row * this.tokens;
    for (let key = 0; key < this.tokens; key++) {
      const through = real ? share * (real[key] as number) : 0;
      const byChance = even ? chance * (even[key] as number) : 0;
      if (through === 0 && byChance === 0) continue;
      this.shares[start + key] = (this.shares[start + key] as number) + through;
      this.chances[start + key] = (this.chances[start + key] as number) + byChance;
      const size = this.excess ? Math.abs(through - byChance) : through;
      if (size > this.#least)
        this.#candidates.push({ above: token, below: key, share: through, chance: byChance });
    }
    if (this.#candidates.length > 8 * this.keep + 1000) this.#prune();
  }

  /** Ends a layer. */
  settle(row: number): void {
    this.#prune();
    this.links[row] = this.#candidates;
    this.#candidates = [];
    this.#least = 0;
  }

  #prune(): void {
    const size = ({ share, chance }: Link) => (this.excess ? Math.abs(share - chance) : share);
    this.#candidates.sort((a, b) => size(b) - size(a) || a.above - b.above || a.below - b.below);
    this.#candidates.length = Math.min(this.#candidates.length, this.keep);
    const last = this.#candidates[this.keep - 1];
    this.#least = last ? size(last) : 0;
  }
}
