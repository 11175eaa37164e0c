import type { Reply, WireReply } from "./protocol.js";
import { isObject, ProtocolError } from "./protocol-check.js";

const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The bytes of whatever a host hands over as a buffer: DataView, typed array or ArrayBuffer. */
export function bytesOf(buffer: unknown): Uint8Array {
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  if (isArrayBuffer(buffer)) return new Uint8Array(buffer);
  throw new ProtocolError("The reply carries no buffer.");
}

// A buffer that comes from another frame is not an instance of this frame's ArrayBuffer.
function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}

function aligned(bytes: Uint8Array, width: number): ArrayBufferLike {
  if (bytes.byteLength % width !== 0) {
    throw new ProtocolError(`${bytes.byteLength} bytes are not a whole number of ${width}-byte numbers.`);
  }
  const copy = bytes.slice();
  if (!LITTLE && width > 1) {
    for (let at = 0; at < copy.length; at += width) copy.subarray(at, at + width).reverse();
  }
  return copy.buffer;
}

const whole = (bytes: Uint8Array, width: number) =>
  LITTLE && bytes.byteOffset % width === 0 && bytes.byteLength % width === 0;

export function float32(buffer: unknown): Float32Array {
  const bytes = bytesOf(buffer);
  if (whole(bytes, 4)) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return new Float32Array(aligned(bytes, 4));
}

export function int32(buffer: unknown): Int32Array {
  const bytes = bytesOf(buffer);
  if (whole(bytes, 4)) return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return new Int32Array(aligned(bytes, 4));
}

export function uint16(buffer: unknown): Uint16Array {
  const bytes = bytesOf(buffer);
  if (whole(bytes, 2)) return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return new Uint16Array(aligned(bytes, 2));
}

export function decodeReply(reply: WireReply, buffer: unknown): Reply {
  const shape = reply.shape ?? [];
  const data = float32(buffer);
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== data.length) {
    throw new ProtocolError(`A reply of shape ${shape.join(" × ")} cannot hold ${data.length} numbers.`);
  }
  return { shape, data, ...(isObject(reply.info) && { info: reply.info }) };
}
