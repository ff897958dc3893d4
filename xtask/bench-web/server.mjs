import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const compress = promisify(brotliCompress);

/**
 * Serves folders, text and WebAssembly in brotli as static hosts do; every address under /isolated/ is the same with
 * cross-origin isolation. Counts what it sends, and what it had to compress for that. `compressed` is a folder where
 * compressed files are kept.
 */
export async function serve({ folders, compressed }) {
  await mkdir(compressed, { recursive: true });
  const sent = { bytes: 0, compressed: 0 };
  const ready = new Map();

  async function packed(content) {
    const place = join(compressed, createHash("sha256").update(content).digest("hex"));
    const kept = await readFile(place).catch(() => undefined);
    if (kept) return kept;
    sent.compressed += 1;
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = constants;
    const bytes = await compress(content, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_SIZE_HINT]: content.length } });
    await writeFile(place, bytes);
    return bytes;
  }

  async function load(file) {
    const content = await readFile(file);
    const type = types[extname(file)];
    return type ? { type, bytes: await packed(content), encoding: "br" } : { type: "application/octet-stream", bytes: content };
  }

  const server = createServer(async (request, response) => {
    let path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    // A worker's file needs the second header too, where its page is isolated.
    const headers = { "Cache-Control": "max-age=3600" };
    if (!path.endsWith(".html")) headers["Cross-Origin-Embedder-Policy"] = "require-corp";
    if (path.startsWith("/isolated/")) {
      path = path.slice("/isolated".length);
      headers["Cross-Origin-Opener-Policy"] = "same-origin";
      headers["Cross-Origin-Embedder-Policy"] = "require-corp";
    }
    const prefix = Object.keys(folders).find((candidate) => path.startsWith(candidate));
    const file = prefix && join(folders[prefix], normalize(`/${path.slice(prefix.length)}`));
    try {
      if (!ready.has(file)) ready.set(file, load(file));
      const { type, bytes, encoding } = await ready.get(file);
      response.writeHead(200, { ...headers, "Content-Type": type, "Content-Length": bytes.length, ...(encoding && { "Content-Encoding": encoding }) });
      sent.bytes += bytes.length;
      response.end(bytes);
    } catch {
      ready.delete(file);
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, sent, close };
}
