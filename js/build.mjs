import { mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("../src/attnscope/static/");
const budget = 240_000;

const common = {
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "info",
};
const targets = [
  { ...common, entryPoints: [here("src/widget.ts")], outfile: `${out}widget.js`, format: "esm" },
  { ...common, entryPoints: [here("src/host.ts")], outfile: `${out}host.js`, format: "iife" },
  { ...common, entryPoints: [here("src/theme.css")], outfile: `${out}widget.css` },
];

await mkdir(out, { recursive: true });
if (process.argv.includes("--watch")) {
  for (const target of targets) await (await context(target)).watch();
} else {
  await Promise.all(targets.map((target) => build(target)));
  const { size } = await stat(`${out}widget.js`);
  if (size > budget) {
    console.error(`widget.js is ${size} bytes, over its budget of ${budget}`);
    process.exit(1);
  }
}
