import { createHash } from "node:crypto";
import { mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, context } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../src/attnscope/static/");
/** Most bytes that every widget adds to a notebook; compressed code grows by four thirds as text. */
const budget = 130_000;

const common = {
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "info",
};
const targets = [
  { ...common, entryPoints: [here("src/host.ts")], outfile: `${out}host.js`, format: "iife" },
  { ...common, entryPoints: [here("src/standin.ts")], outfile: `${out}standin.js`, format: "iife" },
  { ...common, entryPoints: [here("src/theme.css")], outfile: `${out}widget.css` },
];
const widget = {
  ...common,
  entryPoints: [here("src/widget.ts")],
  outfile: `${out}widget.js`,
  format: "esm",
  write: false,
  plugins: [{ name: "pack", setup: (pass) => pass.onEnd(packed) }],
};

/** A notebook stores the script with every widget, so what it stores is compressed, with what unpacks it. */
async function packed({ outputFiles: [view] = [] }) {
  if (!view) return;
  const define = {
    PACKED: JSON.stringify(gzipSync(view.contents, { level: 9 }).toString("base64")),
    KEY: JSON.stringify(`attnscope ${createHash("sha256").update(view.contents).digest("hex").slice(0, 16)}`),
  };
  const loader = { entryPoints: [here("src/loader.ts")], outfile: `${out}widget.js`, format: "esm" };
  await build({ ...common, ...loader, define });
  const { size } = await stat(`${out}widget.js`);
  if (size > budget) throw new Error(`widget.js is ${size} bytes, over its budget of ${budget}`);
}

await mkdir(out, { recursive: true });
if (process.argv.includes("--watch")) {
  for (const target of [...targets, widget]) await (await context(target)).watch();
} else {
  await Promise.all([...targets, widget].map((target) => build(target)));
}
