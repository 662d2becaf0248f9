// Bundles the scripts and styles of the dashboard into dist/app.js and dist/app.css, each with its gzip form beside it.
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

await build({
  entryPoints: { app: "src/main.js" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome110", "firefox115", "safari16"],
  legalComments: "none",
  loader: { ".css": "css" },
});

for (const name of ["app.js", "app.css"]) {
  const content = await readFile(`dist/${name}`);
  const packed = gzipSync(content, { level: 9 });
  await writeFile(`dist/${name}.gz`, packed);
  console.log(`dist/${name}  ${content.length} bytes, ${packed.length} gzipped`);
}
