/** The few things that browsers and Node do differently. Nothing here runs on import. */

interface NodeProcess {
  versions?: { node?: string };
  release?: { name?: string };
  /** Of Electron: `renderer` in a page. */
  type?: string;
  cwd(): string;
  getBuiltinModule?(name: string): unknown;
}

/** The engine that this runs in. Workers count as what started them. */
export type Engine = "browser" | "node" | "deno" | "bun" | "workerd";

/** Tells the engine by what it is, not by what lies around: libraries leave browsers' globals behind in Node. */
export function engine(): Engine {
  const { Deno, Bun, process, navigator, document } = globalThis as {
    Deno?: unknown;
    Bun?: unknown;
    process?: NodeProcess;
    navigator?: { userAgent?: string };
    document?: unknown;
  };
  if (Deno !== undefined) return "deno";
  if (Bun !== undefined) return "bun";
  if (navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  // Electron's pages have Node's `process` as well.
  return process?.release?.name === "node" && document === undefined && process.type === undefined ? "node" : "browser";
}

/** The engine in words. */
export function engineName(): string {
  return { browser: "this browser", node: "Node", deno: "Deno", bun: "Bun", workerd: "workerd" }[engine()];
}

function nodeModule<T>(name: string): T | undefined {
  // Not an import: bundlers would try to resolve one, and browsers have none.
  const { process } = globalThis as { process?: NodeProcess };
  return process?.versions?.node === undefined ? undefined : (process.getBuiltinModule?.(name) as T | undefined);
}

/** The bytes of a `file:` URL, where files can be read (Node); undefined elsewhere. */
export async function readFileUrl(url: URL): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const files = nodeModule<{ readFile(path: URL): Promise<Uint8Array<ArrayBuffer>> }>("node:fs/promises");
  return files && new Uint8Array(await files.readFile(url));
}

/** What relative addresses are relative to: the page, the worker's file, or the working directory. */
export function baseUrl(): string | undefined {
  const { document, location, process } = globalThis as {
    document?: { baseURI?: string };
    location?: { href?: string };
    process?: NodeProcess;
  };
  if (document?.baseURI) return document.baseURI;
  if (location?.href) return location.href;
  const url = nodeModule<{ pathToFileURL(path: string): URL }>("node:url");
  return url && process ? `${url.pathToFileURL(process.cwd()).href}/` : undefined;
}

/**
 * Lets waiting events (a message that cancels, a click) be handled. A promise does not: its continuation runs before them. Timers
 * are the last resort because browsers stretch them to 4 ms.
 */
export function yieldToEvents(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (then: () => void) => void };
  if (setImmediate) return new Promise((resolve) => setImmediate(resolve));
  if (typeof MessageChannel === "function") {
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    });
  }
  return new Promise((resolve) => setTimeout(resolve, 0));
}
