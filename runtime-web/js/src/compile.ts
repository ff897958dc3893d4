import { download, drain, type Source } from "./download.js";
import { DeviceError, messageOf, NetworkError } from "./errors.js";
import { engineName } from "./platform.js";

/** Hears of a download. */
export type OnBytes = (loaded: number, total: number | undefined, file: string) => void;

/** Compiles a WebAssembly file, while it downloads where that can be done. `bytes`: its length, 0 where it is not known. */
export async function compile(url: URL, bytes: number, signal: AbortSignal, onBytes: OnBytes): Promise<WebAssembly.Module> {
  const file = url.pathname.split("/").pop() ?? "";
  const source = await fetched(url, signal);
  const total = bytes > 0 ? bytes : source.bytes;
  let loaded = 0;
  let interrupted: unknown;
  onBytes(0, total, file);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const take = (chunk: Uint8Array): void => {
        if (loaded === 0 && isText(chunk)) throw notCopied(url, "the server answered with a page");
        loaded += chunk.length;
        onBytes(loaded, total, file);
        controller.enqueue(chunk);
      };
      drain(url, source, signal, take).then(
        () => controller.close(),
        (thrown: unknown) => {
          interrupted = thrown;
          controller.error(thrown);
        },
      );
    },
  });
  const response = new Response(body, { headers: { "Content-Type": "application/wasm" } });
  try {
    // Compiles while it downloads, where that exists.
    return await (typeof WebAssembly.compileStreaming === "function"
      ? WebAssembly.compileStreaming(response)
      : WebAssembly.compile(await response.arrayBuffer()));
  } catch (cause) {
    // Compilers report a broken stream in words of their own.
    if (interrupted) throw interrupted;
    throw new DeviceError(`${engineName()} cannot compile ${file}: ${messageOf(cause)}`, { cause });
  }
}

async function fetched(url: URL, signal: AbortSignal): Promise<Source> {
  try {
    return await download(url, signal);
  } catch (thrown) {
    if (thrown instanceof NetworkError && thrown.detail === "404") throw notCopied(url, "there is no such file", "404");
    throw thrown;
  }
}

/** Whether bytes begin as HTML does, and not as WebAssembly: servers of one-page sites answer so in place of "not found". */
function isText(chunk: Uint8Array): boolean {
  return /^\s*</.test(new TextDecoder().decode(chunk.subarray(0, 64)));
}

/** What is behind it nearly always: esbuild, Rollup and Bun leave out what `new URL(…, import.meta.url)` names. */
function notCopied(url: URL, what: string, detail = "html"): NetworkError {
  // Vite up to 7, while developing: it copies the modules of a package into a folder of its own, and nothing else.
  const vite = url.pathname.includes("/.vite/");
  const config = 'optimizeDeps: { exclude: ["freeguide"] }';
  if (vite) return new NetworkError(`cannot load ${url.href}: ${what}. Vite has bundled the package in advance: put ${config} into its configuration`, { detail });
  return new NetworkError(
    `cannot load ${url.href}: ${what}. If a bundler made this, it did not copy the runtime: serve a copy of the package ` +
      "(its folders dist and wasm) and give its address to loadModel as runtime",
    { detail },
  );
}
