import { distFiles } from "../built.js";
import { readCached, writeCached } from "../cache.js";

/** What is available offline. Addresses are relative to the service worker's file. */
export interface OfflineOptions {
  /** Version of the whole site; a new one makes the worker fetch everything again and delete the old files. */
  readonly version: string;
  /** The page's own files, with `./` for the page itself. The worker is not installed if any of them is missing. */
  readonly files: readonly string[];
  /** Folder of the package, if it is served without a bundler: its modules and the CPU runtime are cached. */
  readonly runtime?: string;
  /** Folders of bundles. Their weights are verified and stored where `loadModel` looks for them. */
  readonly models?: readonly string[];
  /** Folders whose files are cached when they are first requested: files that not every visitor needs. */
  readonly onUse?: readonly string[];
  /**
   * Where the page itself comes from. `cache`, the default: the cache, so that all files are of one version. `network`: the
   * server, or the cache if the server does not answer. A new version then shows immediately, which is safe if file names
   * contain a hash.
   */
  readonly page?: "cache" | "network";
}

/** What the page asks a running worker to cache as well. */
export interface Keep {
  readonly files?: readonly string[];
  readonly models?: readonly string[];
}

/** The message with a `Keep`; the answer on its port is `undefined`, or what went wrong. */
export interface KeepMessage {
  readonly freeguide: "keep";
  readonly keep: Keep;
}

// The part of a service worker's global scope that is used here. TypeScript's own types exclude those of pages.
interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface WorkerScope {
  readonly location: { readonly href: string; readonly origin: string };
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  addEventListener(type: "message", listener: (event: ExtendableEvent & MessageEvent<unknown>) => void): void;
}

/**
 * Makes a service worker serve the page, the runtime and models without a network. Call it once at the top of the
 * worker's file:
 *
 * ```js
 * import { serveOffline } from "./freeguide/dist/service-worker.js";
 * serveOffline({ version: "1", files: ["./", "./style.css"], runtime: "./freeguide/", models: ["./models/emoji16/"] });
 * ```
 *
 * A new version is fetched in the background and takes over when no page of the old version is open.
 */
export function serveOffline(options: OfflineOptions): void {
  const scope = globalThis as unknown as WorkerScope;
  const name = `freeguide-offline ${scope.registration.scope} `;
  const cacheName = name + options.version;
  const address = (path: string): string => new URL(path, scope.location.href).href;
  const folder = (path: string): string => address(path.endsWith("/") ? path : `${path}/`);
  const onUse = [...(options.onUse ?? []), ...(options.runtime ? [options.runtime] : [])].map(folder);

  async function keep({ files = [], models = [] }: Keep): Promise<void> {
    const cache = await caches.open(cacheName);
    await Promise.all([
      ...files.map((file) => keepFile(cache, address(file))),
      ...models.map((model) => keepModel(cache, folder(model))),
    ]);
  }

  scope.addEventListener("install", (event) => {
    const runtime = options.runtime === undefined ? [] : packageFiles(folder(options.runtime));
    event.waitUntil(keep({ files: [...options.files, ...runtime], models: options.models ?? [] }));
  });

  scope.addEventListener("activate", (event) => {
    const clean = async (): Promise<void> => {
      const old = (await caches.keys()).filter((key) => key.startsWith(name) && key !== cacheName);
      await Promise.all(old.map((key) => caches.delete(key)));
      await scope.clients.claim();
    };
    event.waitUntil(clean());
  });

  scope.addEventListener("message", (event) => {
    const message = event.data as Partial<KeepMessage> | null;
    if (message?.freeguide !== "keep" || !message.keep) return;
    const answer = (words: string | undefined): void => event.ports[0]?.postMessage(words);
    event.waitUntil(
      keep(message.keep).then(
        () => answer(undefined),
        (thrown: unknown) => answer(thrown instanceof Error ? thrown.message : String(thrown)),
      ),
    );
  });

  scope.addEventListener("fetch", (event) => {
    const { request } = event;
    // Range requests go to the network, since the cache has whole files.
    if (request.method !== "GET" || request.headers.has("range") || !/^https?:/.test(request.url)) return;
    const fresh = options.page === "network" && request.mode === "navigate";
    event.respondWith(fresh ? fetch(request).catch(() => answerTo(request, cacheName, onUse)) : answerTo(request, cacheName, onUse));
  });
}

async function answerTo(request: Request, cacheName: string, onUse: readonly string[]): Promise<Response> {
  const cache = await caches.open(cacheName);
  // The page is the same for every query.
  const cached = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  if (cached) return cached;
  const response = await fetch(request);
  if (response.status === 200 && onUse.some((prefix) => request.url.startsWith(prefix))) {
    // If the cache is full, the response is still served.
    await cache.put(request, response.clone()).catch(() => {});
  }
  return response;
}

/** The package's files that the CPU build needs. The WebGPU runtime, which is several times as large, is cached on use. */
function packageFiles(base: string): string[] {
  const glue = ["cpu", "webgpu"].map((kind) => `wasm/${kind}/freeguide_${kind}.js`);
  return [...distFiles.map((file) => `dist/${file}`), ...glue, "wasm/cpu/freeguide_cpu_bg.wasm"].map((file) => base + file);
}

async function whole(url: string): Promise<Response> {
  // Bypasses the browser's HTTP cache, so that a new version is really fetched.
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`cannot keep ${url}: the server answered ${response.status}`);
  return response;
}

async function keepFile(cache: Cache, url: string): Promise<void> {
  await cache.put(url, await whole(url));
}

interface Listed {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Caches a bundle: `config.json` as a file, and the weights by hash where the runtime looks for them. */
async function keepModel(cache: Cache, base: string): Promise<void> {
  const config = await whole(`${base}config.json`);
  const { weights = [] } = (await config.clone().json()) as { weights?: readonly Listed[] };
  for (const { file, bytes, sha256 } of weights) {
    const there = await readCached(sha256);
    await there?.cancel();
    if (there) continue;
    const url = new URL(file, base).href;
    const data = new Uint8Array(await (await whole(url)).arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== sha256) throw new Error(`cannot keep ${url}: its SHA-256 is ${hex}, not ${sha256}`);
    const writer = await writeCached(sha256, bytes);
    writer?.write(data);
    // `commit` returns a file that the browser refused to store.
    if (!writer || (await writer.commit())) throw new Error(`cannot keep ${url}: the browser has no room for it`);
  }
  await cache.put(`${base}config.json`, config);
}
