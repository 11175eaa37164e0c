import { createHash } from "node:crypto";
import { mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, context } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../src/attnscope/static/");

const common = {
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "info",
};
/** Every kind of page: what a notebook shows, the same as a page of its own, its style; what they are called built. */
const kinds = [
  // At most so many bytes, which every widget adds to a notebook; compressed code grows by four thirds as text.
  { from: "", name: "widget", host: "host", budget: 130_000 },
  { from: "profile/", name: "profile", host: "profile-host", budget: 60_000 },
  { from: "strip/", name: "strip", host: "strip-host", budget: 40_000 },
];
const targets = [
  { ...common, entryPoints: [here("src/standin.ts")], outfile: `${out}standin.js`, format: "iife" },
  ...kinds.flatMap((kind) => [
    {
      ...common,
      entryPoints: [here(`src/${kind.from}host.ts`)],
      outfile: `${out}${kind.host}.js`,
      format: "iife",
    },
    { ...common, entryPoints: [here(`src/${kind.from}theme.css`)], outfile: `${out}${kind.name}.css` },
    {
      ...common,
      entryPoints: [here(`src/${kind.from}widget.ts`)],
      outfile: `${out}${kind.name}.js`,
      format: "esm",
      write: false,
      plugins: [{ name: "pack", setup: (pass) => pass.onEnd((result) => pack(kind, result)) }],
    },
  ]),
];

/** A notebook stores the script with every widget, so what it stores is compressed, with what unpacks it. */
async function pack({ name, budget }, { outputFiles: [view] = [] }) {
  if (!view) return;
  const define = {
    PACKED: JSON.stringify(gzipSync(view.contents, { level: 9 }).toString("base64")),
    KEY: JSON.stringify(`attnscope ${createHash("sha256").update(view.contents).digest("hex").slice(0, 16)}`),
  };
  const loader = { entryPoints: [here("src/loader.ts")], outfile: `${out}${name}.js`, format: "esm" };
  await build({ ...common, ...loader, define });
  const { size } = await stat(`${out}${name}.js`);
  if (size > budget) throw new Error(`${name}.js is ${size} bytes, over its budget of ${budget}`);
}

await mkdir(out, { recursive: true });
if (process.argv.includes("--watch")) {
  for (const target of targets) await (await context(target)).watch();
} else {
  await Promise.all(targets.map((target) => build(target)));
}
