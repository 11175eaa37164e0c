import { expect, test } from "vitest";
import { type Ingredients, OWN, walk, weightedSum } from "../src/attention/steps.js";
import { temperatureAt } from "../src/views/steps-play.js";
import { noise } from "./samples.js";

const KEYS = 9;

/** A row whose weights were made from its dot products, the last key masked. */
function row(over: Partial<Ingredients> = {}): Ingredients {
  const given = { scale: 0.25, softcap: null, sink: null, bias: null, ...over };
  const dots = noise(KEYS, 3).map((value) => 8 * value);
  const scores = dots.map((dot, at) => {
    const score = dot * given.scale;
    const capped = given.softcap === null ? score : given.softcap * Math.tanh(score / given.softcap);
    return capped + (given.bias?.[at] ?? 0);
  });
  const powers = scores.map(Math.exp);
  powers[KEYS - 1] = 0;
  const total = powers.reduce((sum, power) => sum + power, given.sink === null ? 0 : Math.exp(given.sink));
  const weights = powers.map((power) => power / total);
  weights[KEYS - 1] = Number.NaN;
  return { dots, weights, ...given };
}

const FORMS: Record<string, Partial<Ingredients>> = {
  plain: {},
  "soft cap": { softcap: 1.5 },
  bias: { bias: noise(KEYS, 5) },
  sink: { sink: 0.7 },
};

const close = (got: ArrayLike<number>, expected: ArrayLike<number>, most = 1e-6) => {
  expect(got.length).toBe(expected.length);
  for (let at = 0; at < got.length; at++) {
    const [one, other] = [got[at] as number, expected[at] as number];
    expect(Number.isNaN(one), `at ${at}`).toBe(Number.isNaN(other));
    if (!Number.isNaN(one)) expect(Math.abs(one - other), `at ${at}`).toBeLessThan(most);
  }
};

test.each(Object.keys(FORMS))("%s: nearly the model's own temperature gives nearly its weights", (name) => {
  const given = row(FORMS[name]);
  close(walk(given, { temperature: 1 + 1e-9, scaled: true }).weights, given.weights);
  expect([...walk(given, OWN).weights]).toEqual([...given.weights]);
});

test("the parts add up, and masked keys have none", () => {
  const given = row({ softcap: 1.5, bias: noise(KEYS, 5), sink: 0.2 });
  const found = walk(given, OWN);
  const at = 4;
  const scaled = (given.dots?.[at] as number) * 0.25;
  expect(found.scaled?.[at]).toBeCloseTo(scaled, 6);
  expect(found.capped?.[at]).toBeCloseTo(1.5 * Math.tanh(scaled / 1.5), 6);
  expect(found.scores?.[at]).toBeCloseTo((found.capped?.[at] as number) + (given.bias?.[at] as number), 6);
  for (const part of [found.scaled, found.capped, found.scores]) expect(part?.[KEYS - 1]).toBeNaN();
  const sum = found.weights.slice(0, KEYS - 1).reduce((total, weight) => total + weight);
  expect(sum + found.sink).toBeCloseTo(1, 6);
  expect(found.seen).toBe(KEYS - 1);
});

test.each([0.05, 0.5, 3, 10])("temperature %d: weights alone give what dot products give", (temperature) => {
  const given = row();
  const exact = walk(given, { temperature, scaled: true });
  const alone = walk({ ...given, dots: null }, { temperature, scaled: true });
  close(alone.weights, exact.weights, 2e-5);
  expect(alone.entropy).toBeCloseTo(exact.entropy, 4);
  expect(alone.scores).toBeNull();
});

test("unscaling by 1/√d is a temperature of √d", () => {
  const given = row({ scale: 0.25 });
  const unscaled = walk(given, { temperature: 1, scaled: false });
  const hot = walk(given, { temperature: 0.25, scaled: true });
  close(unscaled.weights, hot.weights, 1e-12);
  expect(unscaled.entropy).toBeLessThan(walk(given, OWN).entropy);
});

test("cold looks up one key, heat asks all alike", () => {
  const given = row();
  const own = walk(given, OWN);
  const cold = walk(given, { temperature: 0.001, scaled: true });
  expect(cold.weights[own.top]).toBeCloseTo(1, 9);
  expect(cold.entropy).toBeCloseTo(0, 6);
  const hot = walk(given, { temperature: 1e9, scaled: true });
  expect(hot.entropy).toBeCloseTo(Math.log(KEYS - 1), 6);
});

test("entropy falls with β = 1/T by β times the variance of the scores", () => {
  const given = row();
  const at = (beta: number) => walk(given, { temperature: 1 / beta, scaled: true });
  const step = 1e-4;
  const slope = (at(0.7 + step).entropy - at(0.7 - step).entropy) / (2 * step);
  const { weights, scores } = at(0.7);
  const mean = (of: (score: number) => number) =>
    weights.reduce(
      (sum, weight, key) => (Number.isNaN(weight) ? sum : sum + weight * of(scores?.[key] as number)),
      0,
    );
  const average = mean((score) => score);
  expect(slope).toBeCloseTo(-0.7 * mean((score) => (score - average) ** 2), 5);
});

test("a row that sees nothing has no top and no entropy", () => {
  const none = new Float32Array(3).fill(Number.NaN);
  const found = walk({ ...row(), dots: none, weights: none }, { temperature: 2, scaled: true });
  expect([found.top, found.entropy, found.seen]).toEqual([-1, 0, 0]);
});

test("values are mixed over the keys that are seen", () => {
  const values = [Float32Array.of(1, 0), Float32Array.of(0, 2), Float32Array.of(9, 9)];
  const mixed = weightedSum(Float64Array.of(0.25, 0.75, Number.NaN), (key) => values[key] as Float32Array);
  expect([...mixed]).toEqual([0.25, 1.5]);
});

test("the slider runs from 0.05 to 10 and stands at exactly 1", () => {
  expect(temperatureAt(-130)).toBeCloseTo(0.05, 3);
  expect(temperatureAt(0)).toBe(1);
  expect(temperatureAt(100)).toBe(10);
});
