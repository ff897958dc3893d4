import { AbortedError, NetworkError, messageOf } from "./errors.js";
import { heldFile } from "./files-at-hand.js";
import { readFileUrl } from "./platform.js";

/** A file on its way. */
export interface Source {
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Length of the file, undefined where the server does not say or compresses. */
  readonly bytes: number | undefined;
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
  return new NetworkError(`cannot load ${url.href}: ${messageOf(thrown)}`, { cause: thrown });
}

/** Starts to fetch `url`. Rejects with `NetworkError` (`detail`: the HTTP status) or `AbortedError`. */
export async function download(url: URL, signal: AbortSignal): Promise<Source> {
  const held = heldFile(url);
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
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (thrown) {
    throw failure(url, thrown, signal);
  }
  if (!response.ok) {
    await response.body?.cancel().catch(() => {});
    throw new NetworkError(`cannot load ${url.href}: the server answered ${response.status} ${response.statusText}`.trimEnd(), {
      detail: String(response.status),
    });
  }
  const length = response.headers.has("Content-Encoding") ? null : response.headers.get("Content-Length");
  return {
    stream: (response.body as ReadableStream<Uint8Array<ArrayBuffer>> | null) ?? streamOf(new Uint8Array(await response.arrayBuffer())),
    bytes: length === null ? undefined : Number(length),
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

/** The whole of a small text file. */
export async function downloadText(url: URL, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  await drain(url, await download(url, signal), signal, (chunk) => {
    text += decoder.decode(chunk, { stream: true });
  });
  return text + decoder.decode();
}
