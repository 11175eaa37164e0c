/** How the numbers of a measure behave. */
export type Form =
  /** From 0 up; a row sums to 1, or less. Weights, and what they become once values, norms or layers are counted in. */
  | "share"
  /** Any number; softmax turns a row into shares. */
  | "score"
  /** Effects, for or against. */
  | "signed";

const FORMS: Record<string, Form> = { scores: "score", gradient: "signed" };

const LABELS: Record<string, string> = {
  weights: "weights",
  scores: "scores",
  value_weighted: "value-weighted",
  norm_weighted: "norm-weighted",
  rollout: "rollout",
  gradient: "gradient × weights",
};

const NOUNS: Record<string, string> = { weights: "weight", scores: "score" };

export const formOf = (measure: string): Form => FORMS[measure] ?? "share";

export const isShare = (measure: string): boolean => formOf(measure) === "share";

/** A measure in a menu. */
export const labelOf = (measure: string): string => LABELS[measure] ?? measure.replaceAll("_", " ");

/** One number of a measure in a sentence. */
export const nounOf = (measure: string): string => NOUNS[measure] ?? labelOf(measure);
