import { runtimes, version } from "./built.js";
import { DeviceError } from "./errors.js";
import type { RuntimeKind } from "./runtime-files.js";

/** The custom section of a runtime's WebAssembly that names the package it was built for. */
const SECTION = "freeguide";

/** The version that a runtime carries, and which glue it fits. Undefined where it carries none. */
function stampOf(module: WebAssembly.Module): { version: string; glue: string } | undefined {
  const [section] = WebAssembly.Module.customSections(module, SECTION);
  return section && (JSON.parse(new TextDecoder().decode(section)) as { version: string; glue: string });
}

/** Refuses a runtime of another version than this package. Throws `DeviceError` with the detail `version`. */
export function checkVersion(module: WebAssembly.Module, kind: RuntimeKind, place: string): void {
  const stamp = stampOf(module);
  if (stamp?.version === version && stamp.glue === runtimes[kind].glue) return;
  const is = stamp?.version === version ? "another build" : `version ${stamp?.version ?? "unknown"}`;
  refuse(`the ${kind} runtime (${place})`, is);
}

/** Refuses a worker's file of another version. Throws `DeviceError` with the detail `version`. */
export function checkWorkerVersion(is: string | undefined): void {
  if (is !== version) refuse("the worker's file", `version ${is ?? "unknown"}`);
}

function refuse(what: string, is: string): never {
  throw new DeviceError(`${what} is of freeguide ${is}, and this package is version ${version}: take both from the same package`, {
    detail: "version",
  });
}
