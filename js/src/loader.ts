/** What a notebook stores of the view's script: the script, compressed, and what unpacks it once per page. */

declare const PACKED: string;
/** Names this very script, so that widgets of another version on the same page keep theirs. */
declare const KEY: string;

interface Rendering {
  signal?: AbortSignal;
}

interface Script {
  default: { render(rendering: Rendering): unknown };
}

const shared = globalThis as unknown as Record<string, Promise<Script> | undefined>;

async function unpack(): Promise<Script> {
  const bytes = Uint8Array.from(atob(PACKED), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = new Blob([await new Response(stream).arrayBuffer()], { type: "text/javascript" });
  const url = URL.createObjectURL(script);
  try {
    return (await import(url)) as Script;
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function render(rendering: Rendering): Promise<unknown> {
  shared[KEY] ??= unpack();
  const script = await shared[KEY].catch((error: unknown) => {
    delete shared[KEY];
    throw error;
  });
  return rendering.signal?.aborted ? undefined : script.default.render(rendering);
}

export default { render };
