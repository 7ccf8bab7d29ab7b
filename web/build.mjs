// Builds the page of `nnspec play`: one file, the same bytes whenever and wherever it is built.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = (name) => join(here, "src", name);

async function bundled(name, define = {}) {
  const options = {
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
  };
  const made = await build({ ...options, entryPoints: [source(name)], define, write: false, absWorkingDir: here });
  return made.outputFiles[0].text.trim();
}

const worker = await bundled("worker.ts");
// nothing in a script may end its element
const script = (await bundled("main.ts", { WORKER: JSON.stringify(worker) }))
  .replaceAll("</script", "<\\/script")
  .replaceAll("<!--", "<\\!--");
const hash = `sha256-${createHash("sha256").update(script, "utf8").digest("base64")}`;
const style = readFileSync(source("style.css"), "utf8")
  .replace(/\s*\n\s*/g, "\n")
  .trim();
const parts = { HASH: hash, STYLE: style, SCRIPT: script };
const page = readFileSync(source("page.html"), "utf8").replace(/%(HASH|STYLE|SCRIPT)%/g, (_, name) => parts[name]);
writeFileSync(join(here, "..", "nnspec", "play", "page.html"), page);
