import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
  ".wasm": "application/wasm",
};

/**
 * A static server: each prefix of `folders` is a folder on disk, the longest prefix first; each path of `routes` is a
 * function of request and response and comes before files. The server is as plain as the plainest static host, but for
 * `headers`, which every file gets.
 */
export async function serve(folders, routes = {}, headers = {}) {
  const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    if (routes[path]) return routes[path](request, response);
    const prefix = prefixes.find((candidate) => path.startsWith(candidate));
    if (prefix === undefined) return response.writeHead(404).end("not found");
    let file = join(folders[prefix], normalize(`/${path.slice(prefix.length)}`));
    if (path.endsWith("/")) file = join(file, "index.html");
    try {
      const { size } = await stat(file);
      response.writeHead(200, {
        "Content-Type": types[extname(file)] ?? "application/octet-stream",
        "Content-Length": size,
        ...headers,
      });
      createReadStream(file).pipe(response);
    } catch {
      response.writeHead(404).end("not found");
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
