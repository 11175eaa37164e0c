/** Opens the page beside a picture: at once in a snapshot; beside a live view only where that cannot be had. */

/** How often it is looked whether a view came, and how many times where no picture stands in its place. */
const LOOK_MS = 400;
const TRIES = 12;

/** Shows the page that a box holds, compressed, in a frame of its own, and hides the pictures of it. */
async function open(box: HTMLElement, pictures: () => readonly HTMLElement[]): Promise<void> {
  const { page, height } = box.dataset;
  if (!page) return;
  const bytes = Uint8Array.from(atob(page), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.title = box.querySelector("img")?.alt ?? "";
  frame.style.cssText = `box-sizing:border-box;width:100%;border:1px solid #8884;border-radius:8px;height:${height}px`;
  frame.srcdoc = await new Response(stream).text();
  frame.onload = () => {
    for (const picture of pictures()) picture.style.display = "none";
  };
  box.append(frame);
}

function standIn(box: HTMLElement, details: HTMLDetailsElement, mark: string): void {
  const seen = (name: string) => [
    ...document.querySelectorAll<HTMLElement>(`[data-attnscope-${name}="${mark}"]`),
  ];
  const child = box.closest<HTMLElement>(".jp-OutputArea-child") ?? box;
  const before = child.style.display;
  const isPicture = seen("picture").length > 0;
  let tries = 0;
  child.style.display = "none";
  const timer = setInterval(() => {
    if (!box.isConnected) return;
    const isLive = seen("live").length > 0;
    tries += 1;
    if (!isLive && tries < (isPicture ? 1 : TRIES)) return;
    clearInterval(timer);
    if (isLive) return;
    child.style.display = before;
    details.open = !isPicture;
    open(box, () => [...seen("picture"), details]);
  }, LOOK_MS);
}

// Readers of notebooks keep the text of a script, but not always its attributes.
const box = document.currentScript?.parentElement;
const mark = box?.dataset.attnscopeStandin;
const details = box?.querySelector("details");
if (box && details && mark) standIn(box, details, mark);
else if (box) open(box, () => [...box.querySelectorAll("img")]);
