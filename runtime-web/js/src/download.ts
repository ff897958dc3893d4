import { AbortedError, NetworkError, messageOf } from "./errors.js";
import { localFile } from "./local-files.js";
import { readFileUrl } from "./platform.js";

/** A file on its way. */
export interface Source {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Length of the file, undefined where the server does not say or compresses. */
  readonly bytes: number | undefined;
  /** What names this version of the file to the server: a strong `ETag`, else the time of its last change. */
  readonly version?: string | undefined;
  /** The first byte that comes. */
  readonly from?: number;
}

function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

function failure(url: URL, thrown: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return new AbortedError("loading was aborted", { cause: signal.reason });
  const detail = (thrown as { code?: unknown } | null)?.code === "ENOENT" ? "404" : undefined;
  return new NetworkError(`cannot load ${url.href}: ${messageOf(thrown)}`, { detail, cause: thrown });
}

function versionOf(headers: Headers): string | undefined {
  const tag = headers.get("ETag");
  return tag !== null && !tag.startsWith("W/") ? tag : (headers.get("Last-Modified") ?? undefined);
}

/**
 * Starts to fetch `url`, from byte `from` on where the server can and still has that `version`, else from the beginning.
 * Rejects with `NetworkError` (`detail`: the HTTP status) or `AbortedError`.
 */
export async function download(url: URL, signal: AbortSignal, from = 0, version?: string): Promise<Source> {
  const held = localFile(url);
  if (held) return { stream: held.stream() as ReadableStream<Uint8Array<ArrayBuffer>>, bytes: held.size };
  if (url.protocol === "file:") {
    let bytes;
    try {
      bytes = await readFileUrl(url);
    } catch (thrown) {
      throw failure(url, thrown, signal);
    }
    if (bytes) return { stream: streamOf(bytes), bytes: bytes.length };
  }
  const headers = new Headers();
  if (from > 0) {
    headers.set("Range", `bytes=${from}-`);
    if (version !== undefined) headers.set("If-Range", version);
  }
  let response: Response;
  try {
    response = await fetch(url, { signal, headers });
  } catch (thrown) {
    throw failure(url, thrown, signal);
  }
  if (!response.ok) {
    await response.body?.cancel().catch(() => {});
    throw new NetworkError(`cannot load ${url.href}: the server answered ${response.status} ${response.statusText}`.trimEnd(), {
      detail: String(response.status),
    });
  }
  const begins = response.status === 206 ? /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "")?.[1] : "0";
  const length = response.headers.has("Content-Encoding") ? null : response.headers.get("Content-Length");
  return {
    stream: (response.body as ReadableStream<Uint8Array<ArrayBuffer>> | null) ?? streamOf(new Uint8Array(await response.arrayBuffer())),
    bytes: length === null ? undefined : Number(length),
    version: versionOf(response.headers),
    from: Number(begins ?? from), // a header that a page of another origin may not read: what was asked for
  };
}

/** Hands every chunk of `source` to `take`, in order. What `take` throws ends the download and is thrown on. */
export async function drain(
  url: URL,
  source: Source,
  signal: AbortSignal,
  take: (chunk: Uint8Array<ArrayBuffer>) => void,
): Promise<void> {
  const reader = source.stream.getReader();
  let taken = false;
  try {
    for (;;) {
      if (signal.aborted) throw signal.reason;
      taken = false;
      const { done, value } = await reader.read();
      if (done) return;
      taken = true;
      take(value);
    }
  } catch (thrown) {
    await reader.cancel().catch(() => {});
    throw taken ? thrown : failure(url, thrown, signal);
  }
}

/** Attempts without a byte in between, after which a connection that drops is an error, and the pause before each. */
const PAUSES = [0, 300, 1000];

/**
 * Fetches a file of `bytes` bytes and hands it to `take` in order. A connection that drops is taken up again where it
 * was, as long as bytes still come between one drop and the next.
 */
export async function downloadResuming(
  url: URL,
  bytes: number,
  signal: AbortSignal,
  take: (chunk: Uint8Array<ArrayBuffer>) => void,
): Promise<void> {
  let taken = 0;
  let version: string | undefined;
  let dropped = 0;
  for (;;) {
    const before = taken;
    try {
      const source = await download(url, signal, taken, version);
      version = source.version;
      // A server that cannot resume sends again what was taken; the SHA-256 is that of all of it together.
      let again = taken - (source.from ?? 0);
      if (again < 0) throw new NetworkError(`cannot load ${url.href}: the server left bytes out`, { detail: "range" });
      await drain(url, source, signal, (chunk) => {
        const fresh = again > 0 ? chunk.subarray(Math.min(again, chunk.length)) : chunk;
        again -= chunk.length - fresh.length;
        if (fresh.length === 0) return;
        taken += fresh.length;
        take(fresh);
      });
      return;
    } catch (thrown) {
      // An answer of the server's, or a complaint about the bytes: asking again would bring the same.
      const drop = thrown instanceof NetworkError && thrown.detail === undefined;
      if (!drop || taken >= bytes || taken === 0) throw thrown;
      if (taken > before) dropped = 0;
      const pause = PAUSES[dropped++];
      if (pause === undefined) throw thrown;
      await waitUnlessAborted(pause, signal);
    }
  }
}

function waitUnlessAborted(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(new AbortedError("loading was aborted", { cause: signal.reason }));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", end);
      resolve();
    }, milliseconds);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** The whole of a small text file. */
export async function downloadText(url: URL, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  await drain(url, await download(url, signal), signal, (chunk) => {
    text += decoder.decode(chunk, { stream: true });
  });
  return text + decoder.decode();
}

/** The whole of a small file. */
export async function downloadBytes(url: URL, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  await drain(url, await download(url, signal), signal, (chunk) => {
    chunks.push(chunk.slice());
  });
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
