// Compiles src/ to dist/, and makes what only the build can make. A runtime that has not been built yet (the WebGPU one takes minutes) is stood in for by a
// module that exports nothing, which the engine reports as a refused device, so that the CPU build is usable meanwhile.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeInline } from "./inline.mjs";
import { stamp } from "./stamp.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const placeholder = "// Not built: `cargo xtask wasm` writes the real module here.\nexport {};\n";
// Bundlers fail where a file is missing that a module names.
const emptyModule = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

const kinds = ["cpu", "webgpu"];
for (const kind of kinds) {
  const folder = join(root, "wasm", kind);
  const glue = join(folder, `freeguide_${kind}.js`);
  const wasm = join(folder, `freeguide_${kind}_bg.wasm`);
  if (!existsSync(wasm) || !existsSync(glue) || readFileSync(glue, "utf8") === placeholder) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(glue, placeholder);
    writeFileSync(wasm, emptyModule);
    console.warn(`freeguide: the ${kind} runtime is not built yet; the package will report that device as refused`);
  }
}

// A panic in a task of the instance's own is an uncaught error otherwise, on which Node ends the process. Inside its module
// the name stands for this function, which wasm-bindgen's glue calls for every task.
const mark = "// freeguide: tasks that trap are told.\n";
const guard = `${mark}let trapped;
export function onTrap(listener) { trapped = listener; }
const queueMicrotask = (task) => globalThis.queueMicrotask(() => {
  try { task(); } catch (thrown) { if (!trapped) throw thrown; trapped(thrown); }
});
`;
for (const kind of kinds) {
  const glue = join(root, "wasm", kind, `freeguide_${kind}.js`);
  const text = readFileSync(glue, "utf8");
  if (text !== placeholder && !text.startsWith(mark)) writeFileSync(glue, guard + text);
}

// Bundlers that do not read `exports` look for a folder of an entry's name.
const { exports: entries } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
for (const [entry, { default: file, types } = {}] of Object.entries(entries)) {
  if (entry === "." || file === undefined) continue;
  mkdirSync(join(root, entry), { recursive: true });
  const shown = { main: `.${file}`, ...(types && { types: `.${types}` }) };
  writeFileSync(join(root, entry, "package.json"), `${JSON.stringify({ type: "module", ...shown }, null, 2)}\n`);
}

// What only the build knows: the version, which package.json alone says, how large the runtimes are, which a server
// that compresses does not tell, and which modules a page without a network needs.
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const runtimes = Object.fromEntries(kinds.map((kind) => [kind, stamp(join(root, "wasm", kind, `freeguide_${kind}`), version)]));
const modules = readdirSync(join(root, "src"), { recursive: true })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
  .map((file) => file.replaceAll("\\", "/").replace(/\.ts$/, ".js"))
  .filter((file) => !/^(inline|edge)[./]/.test(file)) // not in a folder that is served
  .concat("built.js");
const distFiles = [...new Set(modules)].sort();
writeFileSync(
  join(root, "src", "built.ts"),
  `// Written by scripts/build.mjs.

/** Version of this package. */
export const version: string = ${JSON.stringify(version)};

/** Of each runtime, the bytes of its WebAssembly file, 0 where it was not built, and a hash of its JavaScript. */
export const runtimes: Readonly<Record<"cpu" | "webgpu", { readonly bytes: number; readonly glue: string }>> = ${JSON.stringify(runtimes)};

/** The modules of this package, inside dist/. */
export const distFiles: readonly string[] = ${JSON.stringify(distFiles)};
`,
);

// A package has to bring its licences along; in the repository they are in its root.
const repository = join(root, "../..");
for (const file of readdirSync(repository).filter((name) => name.startsWith("LICENSE"))) {
  copyFileSync(join(repository, file), join(root, file));
}

rmSync(join(root, "dist"), { recursive: true, force: true });
const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const { status, error } = spawnSync(process.execPath, [compiler, "--project", join(root, "tsconfig.json")], { stdio: "inherit" });
if (error) throw error;
if (status !== 0) process.exit(status ?? 1);
await makeInline(root, runtimes.cpu.bytes > 0);
