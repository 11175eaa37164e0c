import { isCount, isObject, ProtocolError } from "../protocol-check.js";

export interface Tensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export interface Safetensors {
  metadata: Record<string, string>;
  tensor(name: string): Tensor;
}

const WIDTHS: Record<string, number> = { F32: 4, I32: 4, U16: 2, U8: 1 };

function need(fine: boolean, what: string): asserts fine {
  if (!fine) throw new ProtocolError(`The page's data is damaged: ${what}.`);
}

export function readSafetensors(bytes: Uint8Array): Safetensors {
  need(bytes.length >= 8, "it is shorter than its header's length");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = Number(view.getBigUint64(0, true));
  need(size <= bytes.length - 8, `its header of ${size} bytes is cut off`);
  const header = parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const body = bytes.subarray(8 + size);
  const metadata = isObject(header.__metadata__) ? (header.__metadata__ as Record<string, string>) : {};
  return { metadata, tensor: (name) => readTensor(name, header[name], body) };
}

function parse(text: string): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(text);
    need(isObject(header), "its header is not an object");
    return header;
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError("The page's data is damaged: its header is not JSON.");
  }
}

function readTensor(name: string, entry: unknown, body: Uint8Array): Tensor {
  need(isObject(entry), `tensor ${name} is missing`);
  const { dtype, shape, data_offsets: offsets } = entry;
  need(typeof dtype === "string" && dtype in WIDTHS, `tensor ${name} has an unknown type`);
  need(Array.isArray(shape) && shape.every(isCount), `tensor ${name} has no shape`);
  need(
    Array.isArray(offsets) && offsets.length === 2 && offsets.every(isCount),
    `tensor ${name} has no place`,
  );
  const [from, to] = offsets as [number, number];
  const size = shape.reduce((product, length) => product * length, WIDTHS[dtype] as number);
  need(from <= to && to <= body.length, `tensor ${name} is cut off`);
  need(to - from === size, `tensor ${name} does not have the size of its shape`);
  return { dtype, shape, bytes: body.subarray(from, to) };
}
