import { expect, test } from "vitest";
import { unpackPixels } from "../src/draw/patches.js";
import type { TokensInfo } from "../src/protocol.js";
import { readCapture } from "../src/protocol-check.js";
import {
  fitBox,
  hasScenes,
  neighbour,
  placeAt,
  type Scene,
  sceneSide,
  scenesOf,
} from "../src/views/image-model.js";
import { domainFor } from "../src/views/image-note.js";
import { captureInfo, kindInfo } from "./samples.js";

function grid(rows: number, columns: number): NonNullable<TokensInfo["patches"]> {
  return Array.from({ length: rows * columns }, (_, at) => [
    Math.floor(at / columns),
    at % columns,
    rows,
    columns,
  ]);
}

function tokens(patches: TokensInfo["patches"], times?: TokensInfo["times"]): TokensInfo {
  const text = (patches ?? times ?? []).map((_, at) => `t${at}`);
  return {
    text,
    special: [],
    words: text.map((_, at) => at),
    segments: null,
    ...(patches && { patches }),
    ...(times && { times }),
  };
}

test("a grid that is not square keeps its rows and columns apart", () => {
  const [scene] = scenesOf(tokens([null, ...grid(2, 3)])) as [Scene];
  expect(scene.places).toHaveLength(6);
  const at = placeAt(scene, 2.5 / 3, 0.75);
  expect(scene.places[at]?.token).toBe(6);
  expect(placeAt(scene, 1.01, 0.5)).toBe(-1);
  expect(scene.places[3]).toEqual({ token: 4, x: 0, y: 0.5, width: 1 / 3, height: 0.5 });
});

test("a grid that starts again, or changes, is another image", () => {
  const two = scenesOf(tokens([...grid(2, 2), null, ...grid(2, 2), ...grid(1, 3)]));
  expect(two.map(({ places }) => places.map(({ token }) => token))).toEqual([
    [0, 1, 2, 3],
    [5, 6, 7, 8],
    [9, 10, 11],
  ]);
});

test("blocks of patches in another order are one image", () => {
  const order = [0, 1, 4, 5, 2, 3, 6, 7];
  const shuffled = order.map((at) => grid(2, 4)[at] ?? null);
  const scenes = scenesOf(tokens(shuffled));
  expect(scenes).toHaveLength(1);
  expect(scenes[0]?.places[2]).toMatchObject({ token: 2, x: 0, y: 0.5 });
});

test("spans of sound lie along their time, and low bands of a spectrogram at the bottom", () => {
  const [sound] = scenesOf(tokens(undefined, [null, [0, 1], [1, 4]])) as [Scene];
  expect(sound.seconds).toBe(4);
  expect(sound.places.map(({ x, width }) => [x, width])).toEqual([
    [0, 0.25],
    [0.25, 0.75],
  ]);
  const bands = scenesOf(
    tokens(grid(2, 1), [
      [0, 1],
      [0, 1],
    ]),
  );
  expect(bands[0]?.places.map(({ y }) => y)).toEqual([0.5, 0]);
});

test("arrows go to the next patch of the row or column, and stay at the edge", () => {
  const [scene] = scenesOf(tokens(grid(3, 4))) as [Scene];
  expect(neighbour(scene, 5, 1, 0)).toBe(6);
  expect(neighbour(scene, 5, 0, 1)).toBe(9);
  expect(neighbour(scene, 5, 0, -1)).toBe(1);
  expect(neighbour(scene, 7, 1, 0)).toBe(7);
});

test("the view is there where patches or times are, on the side that has them", () => {
  const image = tokens(grid(2, 2));
  const words = tokens([null, null]);
  expect(hasScenes(kindInfo())).toBe(false);
  expect(hasScenes(kindInfo({ queries: words }))).toBe(false);
  expect(sceneSide(kindInfo({ queries: image, keys: words }))).toBe("query");
  expect(sceneSide(kindInfo({ queries: words, keys: image }))).toBe("key");
  expect(hasScenes(kindInfo({ queries: words, keys: image }))).toBe(true);
});

test("pixels unpack to what they were, and boxes keep their shape", () => {
  expect([...unpackPixels([(200 << 16) + (17 << 8) + 255])]).toEqual([200, 17, 255, 255]);
  expect(fitBox(2, 100, 100)).toEqual({ width: 100, height: 50 });
  expect(fitBox(0.5, 100, 100)).toEqual({ width: 50, height: 100 });
});

test("weights start at nothing, effects have zero in the middle", () => {
  const values = Float32Array.of(0.25, 0.5, Number.NaN);
  expect(domainFor(values, "weights")).toEqual({ least: 0, most: 0.5 });
  expect(domainFor(Float32Array.of(-2, 1), "gradient")).toEqual({ least: -2, most: 2 });
  expect(domainFor(undefined, "weights").most).toBeGreaterThan(0);
});

test("sizes of pictures are read, and left out where they are none", () => {
  expect(readCapture({ ...captureInfo(), pictures: [[24, 40]] }).pictures).toEqual([[24, 40]]);
  expect(readCapture({ ...captureInfo(), pictures: [[24]] }).pictures).toBeUndefined();
});
