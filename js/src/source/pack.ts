import { type Layer, PackedWeightsLayer, QueriesKeysLayer } from "../attention/layer.js";
import type { Mask } from "../attention/mask.js";
import { float32, int32, uint16 } from "../decode.js";
import type { CaptureInfo, KindInfo, Place, Stored } from "../protocol.js";
import { isObject, ProtocolError, readCapture, readCompare } from "../protocol-check.js";
import type { Seed } from "../source.js";
import { readSafetensors, type Safetensors } from "./safetensors.js";
import { readSeeds } from "./seeds.js";

/** What is stored of one capture. */
export interface StoredCapture {
  capture: CaptureInfo;
  /** A layer all of whose heads are stored. */
  layer(kind: string, layer: number): Layer;
  /** A layer, and the place of a head among those stored. */
  head(kind: string, layer: number, head: number): [Layer, number];
  /** What a measure multiplies each weight of a layer by, [heads, keys]; undefined where it is no such measure. */
  lengths(kind: string, layer: number, measure: string): Float32Array | undefined;
}

export interface Pack extends StoredCapture {
  state: Record<string, unknown>;
  seeds: Seed[];
  /** The capture compared with. */
  other?: StoredCapture;
}

export class NotStoredError extends Error {
  override name = "NotStoredError";
}

function need(fine: boolean, what: string): asserts fine {
  if (!fine) throw new ProtocolError(`The page's data is damaged: ${what}.`);
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

export function readPack(bytes: Uint8Array, place: Place = "page"): Pack {
  const file = readSafetensors(bytes);
  let page: unknown;
  try {
    page = JSON.parse(file.metadata.page ?? "");
  } catch {
    page = null;
  }
  need(isObject(page), "its description is missing");
  need(Array.isArray(page.layers) && Array.isArray(page.masks), "its layers are missing");
  const capture = readCapture(page.capture);
  const compare = readCompare(page.other);
  const other =
    isObject(page.other) && compare ? readStored(file, page.other, compare.capture, place) : undefined;
  return {
    ...readStored(file, page, { ...capture, ...(compare && { compare }) }, place),
    state: isObject(page.state) ? page.state : {},
    seeds: readSeeds(page.first, (name) => file.tensor(String(name)).bytes),
    ...(other && { other }),
  };
}

function readStored(
  file: Safetensors,
  page: Record<string, unknown>,
  described: CaptureInfo,
  place: Place,
): StoredCapture {
  const { layers, masks } = page;
  need(Array.isArray(layers) && Array.isArray(masks), "its layers are missing");
  const entries = layers.filter(isObject);
  const capture = {
    ...described,
    kinds: described.kinds.map((kind) => ({ ...kind, ...left(kind, entries, place) })),
  };
  const built = new Map<string, Layer>();
  const missing = (what: string) =>
    new NotStoredError(`${what} is not stored in this ${place}; run the cell to see it.`);
  const infoOf = (name: string) => {
    const info = capture.kinds.find((entry) => entry.kind === name);
    need(info !== undefined, `${name} is not described`);
    return info;
  };
  const find = (kind: string, number: number) => {
    const stored = entries.find((entry) => entry.kind === kind && entry.layer === number);
    if (!stored) {
      need(infoOf(kind).layers.includes(number), `there is no layer ${number} of ${kind}`);
      throw missing(`Layer ${number}`);
    }
    return stored;
  };
  const build = (kind: string, number: number) => {
    const name = `${kind}|${number}`;
    const known = built.get(name);
    if (known) return known;
    const stored = find(kind, number);
    const info = infoOf(kind);
    const size: [number, number] = [info.queries.text.length, (info.keys ?? info.queries).text.length];
    const layer = readLayer(file, stored, readMask(file, masks[Number(stored.mask)], size), size);
    built.set(name, layer);
    return layer;
  };
  return {
    capture,
    lengths(kind, number, measure) {
      const { lengths, heads } = find(kind, number);
      if (!isObject(lengths) || lengths[measure] === undefined) return undefined;
      const found = float32(file.tensor(String(lengths[measure])).bytes);
      const info = infoOf(kind);
      const keys = (info.keys ?? info.queries).text.length;
      need(found.length === Number(heads) * keys, "lengths do not fit their tokens");
      return found;
    },
    layer(kind, number) {
      const { only, heads } = find(kind, number);
      if (!Array.isArray(only)) return build(kind, number);
      const absent = Array.from({ length: Number(heads) }, (_, head) => head).find(
        (head) => !only.includes(head),
      );
      throw missing(`Head ${absent} of layer ${number}`);
    },
    head(kind, number, head) {
      const { only, heads } = find(kind, number);
      if (head >= Number(heads)) throw new Error(`Layer ${number} has ${heads} heads.`);
      const at = Array.isArray(only) ? only.indexOf(head) : head;
      if (at < 0) throw missing(`Head ${head} of layer ${number}`);
      return [build(kind, number), at];
    },
  };
}

/** Says how much of a kind is stored, where that is not all of it. */
function left(
  { kind, layers }: KindInfo,
  entries: Record<string, unknown>[],
  place: Place,
): Pick<KindInfo, "stored"> {
  const own = entries.filter((entry) => entry.kind === kind);
  const whole = own.filter((entry) => !Array.isArray(entry.only)).length;
  if (whole === layers.length) return {};
  const heads = own.reduce((sum, { only }) => sum + (Array.isArray(only) ? only.length : 0), 0);
  const counted = [
    ...(whole > 0 || heads === 0 ? [`${whole} of ${layers.length} layers`] : []),
    ...(heads > 0 ? [`${heads} ${heads === 1 ? "head" : "heads"}`] : []),
  ];
  const has: Stored["has"] = ([layer, head]) => {
    const entry = own.find((one) => one.layer === layer);
    return entry !== undefined && (!Array.isArray(entry.only) || entry.only.includes(head));
  };
  const some = own.map((entry) => Number(entry.layer));
  return { stored: { text: `${counted.join(" and ")} stored`, place, layers: some, has } };
}

function readMask(file: Safetensors, stored: unknown, [queries, keys]: [number, number]): Mask {
  need(isObject(stored), "a mask is missing");
  if (stored.form === "full") return { form: "full" };
  if (stored.form === "interval") {
    const from = int32(file.tensor(String(stored.from)).bytes);
    const to = int32(file.tensor(String(stored.to)).bytes);
    need(from.length === queries && to.length === queries, "a mask does not fit its tokens");
    return { form: "interval", from, to };
  }
  need(stored.form === "bits", "a mask has an unknown form");
  const { bytes } = file.tensor(String(stored.bits));
  need(bytes.length === queries * Math.ceil(keys / 8), "a mask does not fit its tokens");
  return { form: "bits", bits: bytes };
}

function readLayer(
  file: Safetensors,
  stored: Record<string, unknown>,
  mask: Mask,
  [nQueries, nKeys]: [number, number],
): Layer {
  const { form, only } = stored;
  const heads = Array.isArray(only) ? only.length : stored.heads;
  need(isNumber(heads), "a layer does not say how many heads it has");
  if (form === "weights") {
    return new PackedWeightsLayer(
      heads,
      nQueries,
      nKeys,
      mask,
      uint16(file.tensor(String(stored.weights)).bytes),
    );
  }
  need(form === "queries_keys", "a layer has an unknown form");
  const { key_heads: keyHeads, width, scale, softcap, sinks } = stored;
  need(isNumber(keyHeads) && isNumber(width) && isNumber(scale), "a layer is not described");
  const queries = float32(file.tensor(String(stored.queries)).bytes);
  const keys = float32(file.tensor(String(stored.keys)).bytes);
  need(queries.length === heads * nQueries * width, "a layer's queries do not fit its tokens");
  need(keys.length === keyHeads * nKeys * width, "a layer's keys do not fit its tokens");
  const optional = (name: unknown) => (name == null ? undefined : float32(file.tensor(String(name)).bytes));
  const [bias, values] = [optional(stored.bias), optional(stored.values)];
  const fits = !bias || [1, heads].includes(bias.length / (nQueries * nKeys));
  need(fits, "a layer's bias does not fit its tokens");
  need(!values || values.length % (keyHeads * nKeys) === 0, "a layer's values do not fit its tokens");
  return new QueriesKeysLayer({
    heads,
    keyHeads,
    width,
    scale,
    softcap: isNumber(softcap) ? softcap : null,
    sinks: sinks == null ? null : float32(file.tensor(String(sinks)).bytes),
    queries,
    keys,
    bias,
    values,
    mask,
  });
}
