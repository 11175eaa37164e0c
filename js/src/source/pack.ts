import { type Layer, PackedWeightsLayer, QueriesKeysLayer } from "../attention/layer.js";
import type { Mask } from "../attention/mask.js";
import { float32, int32, uint16 } from "../decode.js";
import type { CaptureInfo } from "../protocol.js";
import { isObject, ProtocolError, readCapture, readCompare } from "../protocol-check.js";
import type { Seed } from "../source.js";
import { readSafetensors, type Safetensors } from "./safetensors.js";
import { readSeeds } from "./seeds.js";

/** What is stored of one capture. */
export interface StoredCapture {
  capture: CaptureInfo;
  layer(kind: string, layer: number): Layer;
  /** What a measure multiplies each weight of a layer by, [heads, keys]; undefined where it is no such measure. */
  lengths(kind: string, layer: number, measure: string): Float32Array | undefined;
}

export interface Pack extends StoredCapture {
  state: Record<string, unknown>;
  seeds: Seed[];
  /** The capture compared with. */
  other?: StoredCapture;
}

function need(fine: boolean, what: string): asserts fine {
  if (!fine) throw new ProtocolError(`The page's data is damaged: ${what}.`);
}

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

export function readPack(bytes: Uint8Array): Pack {
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
  const other = isObject(page.other) && compare ? readStored(file, page.other, compare.capture) : undefined;
  return {
    ...readStored(file, page, { ...capture, ...(compare && { compare }) }),
    state: isObject(page.state) ? page.state : {},
    seeds: readSeeds(page.first, (name) => file.tensor(String(name)).bytes),
    ...(other && { other }),
  };
}

function readStored(file: Safetensors, page: Record<string, unknown>, capture: CaptureInfo): StoredCapture {
  const { layers, masks } = page;
  need(Array.isArray(layers) && Array.isArray(masks), "its layers are missing");
  const built = new Map<string, Layer>();
  const find = (kind: string, number: number) => {
    const stored: unknown = layers.find(
      (entry: unknown) => isObject(entry) && entry.kind === kind && entry.layer === number,
    );
    need(isObject(stored), `layer ${number} of ${kind} is not in it`);
    return stored;
  };
  return {
    capture,
    lengths(kind, number, measure) {
      const { lengths } = find(kind, number);
      if (!isObject(lengths) || lengths[measure] === undefined) return undefined;
      const found = float32(file.tensor(String(lengths[measure])).bytes);
      const info = capture.kinds.find((entry) => entry.kind === kind);
      const keys = info ? (info.keys ?? info.queries).text.length : 0;
      need(found.length === this.layer(kind, number).heads * keys, "lengths do not fit their tokens");
      return found;
    },
    layer(kind, number) {
      const name = `${kind}|${number}`;
      const known = built.get(name);
      if (known) return known;
      const stored = find(kind, number);
      const info = capture.kinds.find((entry) => entry.kind === kind);
      need(info !== undefined, `${kind} is not described`);
      const size: [number, number] = [info.queries.text.length, (info.keys ?? info.queries).text.length];
      const layer = readLayer(file, stored, readMask(file, masks[Number(stored.mask)], size), size);
      built.set(name, layer);
      return layer;
    },
  };
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
  const { form, heads } = stored;
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
