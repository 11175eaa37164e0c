import type { KindInfo, TokensInfo } from "../protocol.js";
import type { Side } from "../state.js";

/** Where a token lies in its image or sound: parts of the whole, from the top left. */
export interface Place {
  token: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** One image, frame or sound. */
export interface Scene {
  places: Place[];
  rows: number;
  columns: number;
  /** Length of a sound in seconds, which has no patches; null for images. */
  seconds: number | null;
}

const hasPlaces = (tokens: TokensInfo): boolean =>
  [tokens.patches, tokens.times].some((entries) => entries?.some((entry) => entry !== null) ?? false);

/** Whether a kind of attention has patches or times to show. */
export const hasScenes = ({ queries, keys }: KindInfo): boolean =>
  hasPlaces(queries) || (keys !== null && hasPlaces(keys));

/** The side whose tokens lie in the image: the keys where they do. */
export function sceneSide({ queries, keys }: KindInfo): Side {
  return hasPlaces(keys ?? queries) ? "key" : "query";
}

/** Splits tokens into images: a grid that changes, or starts again, is another image. */
export function scenesOf(tokens: TokensInfo): Scene[] {
  return tokens.patches?.some((patch) => patch !== null) ? imagesOf(tokens) : soundOf(tokens);
}

function imagesOf({ patches = [], times }: TokensInfo): Scene[] {
  const scenes: Scene[] = [];
  let seen = new Set<number>();
  patches.forEach((patch, token) => {
    if (!patch) return;
    const [row, column, rows, columns] = patch;
    let scene = scenes[scenes.length - 1];
    const same = scene?.rows === rows && scene.columns === columns && !seen.has(row * columns + column);
    if (!scene || !same) {
      scene = { places: [], rows, columns, seconds: null };
      scenes.push(scene);
      seen = new Set();
    }
    seen.add(row * columns + column);
    // A spectrogram's low bands stand at the bottom.
    const line = times?.[token] ? rows - 1 - row : row;
    const [x, y] = [column / columns, line / rows];
    scene.places.push({ token, x, y, width: 1 / columns, height: 1 / rows });
  });
  return scenes;
}

function soundOf({ times = [] }: TokensInfo): Scene[] {
  let seconds = 0;
  for (const span of times) if (span) seconds = Math.max(seconds, span[1]);
  if (seconds === 0) return [];
  const places = times.flatMap((span, token): Place[] =>
    span ? [{ token, x: span[0] / seconds, y: 0, width: (span[1] - span[0]) / seconds, height: 1 }] : [],
  );
  return [{ places, rows: 1, columns: places.length, seconds }];
}

/** The place under a point, both as parts of the whole; −1 where there is none. */
export function placeAt({ places }: Scene, x: number, y: number): number {
  return places.findIndex(
    (place) => x >= place.x && x < place.x + place.width && y >= place.y && y < place.y + place.height,
  );
}

/** How many places right and down an arrow goes. */
export const ARROWS: Record<string, readonly [right: number, down: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The nearest place in a direction; the place itself at an edge. */
export function neighbour({ places }: Scene, from: number, right: number, down: number): number {
  const here = places[from];
  if (!here) return from;
  const middle = (place: Place) => [place.x + place.width / 2, place.y + place.height / 2] as const;
  const [x0, y0] = middle(here);
  let [best, least] = [from, Number.POSITIVE_INFINITY];
  places.forEach((place, at) => {
    const [x, y] = middle(place);
    const ahead = right * (x - x0) + down * (y - y0);
    if (ahead <= 1e-9) return;
    const aside = Math.abs(right === 0 ? x - x0 : y - y0);
    const far = ahead + 1000 * aside;
    if (far < least) [best, least] = [at, far];
  });
  return best;
}

/** The largest box of a shape inside a room. */
export function fitBox(shape: number, width: number, height: number): { width: number; height: number } {
  return width / height > shape ? { width: height * shape, height } : { width, height: width / shape };
}
