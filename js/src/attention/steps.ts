/** What one row of weights is made of, as it was captured. */
export interface Ingredients {
  /** q·k per key before scaling; null where only weights were captured. */
  dots: Float32Array | null;
  /** What is added to the scores. */
  bias: Float32Array | null;
  /** The model's own weights; NaN where a key is masked. */
  weights: Float32Array;
  scale: number;
  softcap: number | null;
  /** A learned score that takes part in the softmax and belongs to no key. */
  sink: number | null;
}

/** What a reader changes to see its effect; 1 and true are the model's own. */
export interface Play {
  temperature: number;
  scaled: boolean;
}

/** The row step by step, per key; NaN where a key is masked. */
export interface Walk {
  scaled: Float64Array | null;
  capped: Float64Array | null;
  /** What goes into the softmax. */
  scores: Float64Array | null;
  weights: Float64Array;
  /** The share of the learned sink. */
  sink: number;
  /** Over the keys and the sink, in nats. */
  entropy: number;
  /** The key with the largest weight; −1 where there is none. */
  top: number;
  /** How many keys are not masked. */
  seen: number;
}

export const OWN: Play = { temperature: 1, scaled: true };

export const isOwn = (play: Play): boolean => play.temperature === 1 && play.scaled;

/**
 * Goes from dot products to weights, with all that enters the softmax divided by the temperature.
 * Where only weights are known the same is had from them: p^(1/T), rescaled to the sum they had.
 */
export function walk(given: Ingredients, play: Play): Walk {
  const { dots, weights } = given;
  if (!dots) return finish(given, { scaled: null, capped: null, scores: null }, tempered(weights, play));
  const masked = (at: number) => Number.isNaN(weights[at] as number);
  const per = (of: (at: number) => number) =>
    Float64Array.from(dots, (_, at) => (masked(at) ? Number.NaN : of(at)));
  const scaled = per((at) => (dots[at] as number) * (play.scaled ? given.scale : 1));
  const { softcap, bias } = given;
  const capped = softcap === null ? null : per((at) => softcap * Math.tanh((scaled[at] as number) / softcap));
  const raw = capped ?? scaled;
  const scores = per((at) => (raw[at] as number) + (bias?.[at] ?? 0));
  const parts = { scaled, capped, scores };
  if (isOwn(play)) return finish(given, parts, Float64Array.from(weights));
  return finish(given, parts, softmax(scores, given.sink, play.temperature));
}

function softmax(scores: Float64Array, sink: number | null, temperature: number): Float64Array {
  let peak = sink ?? Number.NEGATIVE_INFINITY;
  for (const score of scores) if (score > peak) peak = score;
  if (peak === Number.NEGATIVE_INFINITY) return scores.map((score) => (Number.isNaN(score) ? score : 0));
  const power = (score: number) => Math.exp((score - peak) / temperature);
  let total = sink === null ? 0 : power(sink);
  for (const score of scores) if (!Number.isNaN(score)) total += power(score);
  return scores.map((score) => power(score) / total);
}

function tempered(weights: Float32Array, { temperature }: Play): Float64Array {
  const out = Float64Array.from(weights);
  if (temperature === 1) return out;
  let most = 0;
  for (const weight of weights) if (weight > most) most = weight;
  if (most === 0) return out;
  const power = out.map((weight) => (weight / most) ** (1 / temperature));
  const total = sum(power);
  const kept = sum(out);
  return power.map((weight) => (weight / total) * kept);
}

const sum = (values: Float64Array) =>
  values.reduce((total, value) => (Number.isNaN(value) ? total : total + value), 0);

function finish(
  given: Ingredients,
  parts: Pick<Walk, "scaled" | "capped" | "scores">,
  weights: Float64Array,
): Walk {
  let [seen, top, most, entropy, total] = [0, -1, -1, 0, 0];
  const count = (weight: number) => {
    if (weight > 0) entropy -= weight * Math.log(weight);
  };
  weights.forEach((weight, at) => {
    if (Number.isNaN(weight)) return;
    seen += 1;
    total += weight;
    count(weight);
    if (weight > most) [most, top] = [weight, at];
  });
  const sink = given.sink === null ? 0 : Math.max(0, 1 - total);
  count(sink);
  return { ...parts, weights, sink, entropy, top, seen };
}

/** Σ weight × value over the keys that are seen; `vectors` holds one value vector per key. */
export function weightedSum(weights: Float64Array, value: (key: number) => Float32Array): Float64Array {
  let out: Float64Array | null = null;
  for (const [key, weight] of weights.entries()) {
    if (Number.isNaN(weight)) continue;
    const vector = value(key);
    out ??= new Float64Array(vector.length);
    for (let at = 0; at < out.length; at++) out[at] = (out[at] as number) + weight * (vector[at] as number);
  }
  return out ?? new Float64Array(0);
}
