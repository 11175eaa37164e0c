/** Least recently used numbers are dropped first, counted in bytes. */
export class ByteCache {
  #entries = new Map<string, Float32Array>();
  #bytes = 0;

  constructor(readonly limit: number) {}

  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): Float32Array | undefined {
    const found = this.#entries.get(name);
    if (found) {
      this.#entries.delete(name);
      this.#entries.set(name, found);
    }
    return found;
  }

  set(name: string, data: Float32Array): string[] {
    const before = this.#entries.get(name);
    if (before) this.#bytes -= before.byteLength;
    this.#entries.delete(name);
    this.#entries.set(name, data);
    this.#bytes += data.byteLength;
    const dropped: string[] = [];
    for (const [oldest, old] of this.#entries) {
      if (this.#bytes <= this.limit || oldest === name) break;
      this.#entries.delete(oldest);
      this.#bytes -= old.byteLength;
      dropped.push(oldest);
    }
    return dropped;
  }
}
