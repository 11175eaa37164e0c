import { Breath } from "./breath.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** Characters of base64 decoded at once; four stand for three bytes. */
const PIECE = 1 << 18;

/** Base64 → bytes, piece by piece. */
export function* fromBase64(text: string): Generator<Bytes> {
  for (let at = 0; at < text.length; at += PIECE) {
    const piece = atob(text.slice(at, at + PIECE));
    const bytes = new Uint8Array(piece.length);
    for (let from = 0; from < bytes.length; from++) bytes[from] = piece.charCodeAt(from);
    yield bytes;
  }
}

/** Undoes gzip in slices: a large page's data would otherwise block it for seconds. */
export async function inflate(pieces: Iterator<Bytes>): Promise<Bytes> {
  const breath = new Breath(new AbortController().signal);
  const packed = new ReadableStream<Bytes>({
    async pull(controller) {
      await breath.take();
      const { done, value } = pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  return new Uint8Array(
    await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer(),
  );
}
