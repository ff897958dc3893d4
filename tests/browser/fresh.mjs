import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { packageFolder } from "./setup.mjs";

const run = promisify(execFile);

/** Runs a program and resolves to what it printed; its output is in the error where it fails. */
export async function command(program, args, options) {
  const { stdout } = await run(program, args, { maxBuffer: 1 << 26, ...options });
  return stdout;
}

/** An empty folder that vanishes after the test. */
export async function emptyFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), "freeguide-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

let packed;

/** The package as npm would publish it: a tarball, packed once. */
export async function tarball() {
  packed ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), "freeguide-pack-"));
    const [{ filename }] = JSON.parse(await command("npm", ["pack", "--json", "--pack-destination", folder], { cwd: packageFolder }));
    return { file: join(folder, filename), remove: () => rm(folder, { recursive: true }) };
  })();
  return packed;
}

/** Writes files into a folder: text or bytes by path. */
export async function writeFiles(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

/** Puts the packed package among the packages of a project. */
export async function installPacked(folder) {
  const place = join(folder, "node_modules/freeguide");
  await mkdir(place, { recursive: true });
  await command("tar", ["xf", (await tarball()).file, "--strip-components=1", "-C", place]);
}

/** A project in an empty folder that has the packed package installed and nothing else. */
export async function project(t, files) {
  const folder = await emptyFolder(t);
  const about = { name: "fresh", private: true, type: "module", dependencies: { freeguide: "*" } };
  await writeFiles(folder, { "package.json": JSON.stringify(about), ...files });
  await installPacked(folder);
  return folder;
}

/** Vite's command line, as the page's own build has it. */
export const vite = fileURLToPath(new URL("../../www/node_modules/vite/bin/vite.js", import.meta.url));
/** TypeScript's. */
export const tsc = fileURLToPath(new URL("../../www/node_modules/typescript/bin/tsc", import.meta.url));
