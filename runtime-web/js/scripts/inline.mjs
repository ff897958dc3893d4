// What `freeguide/inline` and `freeguide/edge` have inside: glue that makes an instance at each call, and the worker and the
// runtime as text.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

/** wasm-bindgen's module as a function that makes one: each call has an instance of its own. */
function asFunction(glue) {
  const exported = [];
  const body = glue
    .replace(/^export ((?:async )?function|class|let|const) (\w+)/gm, (_, kind, name) => {
      exported.push(name);
      return `${kind} ${name}`;
    })
    .replace(/^export \{([^}]*)\};?$/gm, (_, list) => {
      for (const each of list.split(",").map((name) => name.trim()).filter(Boolean)) {
        const [name, alias = name] = each.split(/\s+as\s+/);
        exported.push(alias === name ? name : `${JSON.stringify(alias)}: ${name}`);
      }
      return "";
    })
    // The module is always given.
    .replace(/new URL\('[^']*', import\.meta\.url\)/g, "undefined");
  const left = body.match(/^\s*(?:import|export)\b.*$/m) ?? body.match(/.*import\.meta.*/);
  if (left) throw new Error(`the glue has a line that is not expected: ${left[0]}`);
  return `export function makeGlue() {\n${body}\nreturn { ${exported.join(", ")} };\n}\n`;
}

/** Writes dist/inline/glue.js and dist/inline/contents.js, around the CPU runtime if it was built. */
export async function makeInline(root, there) {
  const folder = join(root, "dist/inline");
  const runtime = join(root, "wasm/cpu/freeguide_cpu");
  const glue = there ? asFunction(readFileSync(`${runtime}.js`, "utf8")) : "export const makeGlue = () => ({});\n";
  writeFileSync(join(folder, "glue.js"), glue);
  const options = { bundle: true, format: "esm", minify: true, write: false, target: "es2022", logLevel: "error" };
  const { outputFiles } = await build({ ...options, entryPoints: [join(folder, "worker.js")] });
  const contents = {
    workerCode: outputFiles[0].text,
    runtimeBase64: there ? readFileSync(`${runtime}_bg.wasm`).toString("base64") : "",
  };
  const lines = Object.entries(contents).map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`);
  writeFileSync(join(folder, "contents.js"), lines.join(""));
}
