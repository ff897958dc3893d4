/**
 * The kinds of errors:
 * - `aborted`: an `AbortSignal` fired
 * - `network`: a file could not be fetched
 * - `bundle`: a file was fetched and is not what the bundle declares; `detail` names the kind of damage
 * - `device`: the device cannot be used
 * - `self-test`: the device computes wrong results
 * - `input`: an option has a value that is not allowed
 * - `disposed`: the model was disposed of
 * - `poisoned`: the runtime crashed; this model cannot be used any more, but a new `loadModel` works
 */
export type ErrorCode =
  | "aborted"
  | "network"
  | "bundle"
  | "device"
  | "self-test"
  | "input"
  | "disposed"
  | "poisoned";

/** Every error that this package rejects with. */
export class FreeguideError extends Error {
  /** The kind of error, stable across versions. */
  readonly code: ErrorCode;
  /** A more specific kind if there is one, for instance `newer-version` or `wrong-hash` of a `bundle` error. */
  readonly detail: string | undefined;

  constructor(code: ErrorCode, message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.detail = options.detail;
  }
}

/** An `AbortSignal` fired. Its `name` is `AbortError`, as in the web's own APIs; `cause` is the signal's reason. */
export class AbortedError extends FreeguideError {
  constructor(message = "the operation was aborted", options: { cause?: unknown } = {}) {
    super("aborted", message, options);
    this.name = "AbortError";
  }
}

/** A file could not be fetched. */
export class NetworkError extends FreeguideError {
  constructor(message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super("network", message, options);
  }
}

/** The bundle is damaged, incomplete or of a newer format. `detail` names the kind. */
export class BundleError extends FreeguideError {
  constructor(message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super("bundle", message, options);
  }
}

/** The device cannot be used. */
export class DeviceError extends FreeguideError {
  constructor(message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super("device", message, options);
  }
}

/** The device failed the self-test: it computes wrong results. */
export class SelfTestError extends FreeguideError {
  constructor(message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super("self-test", message, options);
  }
}

/** An option has a value that is not allowed; the message names the option and what is allowed. */
export class InputError extends FreeguideError {
  constructor(message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super("input", message, options);
  }
}

/** The model was used after `dispose()`. */
export class DisposedError extends FreeguideError {
  constructor(message = "the model was disposed of", options: { cause?: unknown } = {}) {
    super("disposed", message, options);
  }
}

/** The runtime crashed, and the model with it. Load the model again to continue. */
export class PoisonedError extends FreeguideError {
  constructor(message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super("poisoned", message, options);
  }
}

/** An error as the worker sends it. */
export interface WireError {
  code: ErrorCode;
  message: string;
  detail?: string | undefined;
}

const makers: Record<ErrorCode, (message: string, options: { detail?: string | undefined; cause?: unknown }) => FreeguideError> = {
  aborted: (message, options) => new AbortedError(message, options),
  network: (message, options) => new NetworkError(message, options),
  bundle: (message, options) => new BundleError(message, options),
  device: (message, options) => new DeviceError(message, options),
  "self-test": (message, options) => new SelfTestError(message, options),
  input: (message, options) => new InputError(message, options),
  disposed: (message, options) => new DisposedError(message, options),
  poisoned: (message, options) => new PoisonedError(message, options),
};

/** Makes an error of the class for `code`. */
export function makeError(
  code: ErrorCode,
  message: string,
  options: { detail?: string | undefined; cause?: unknown } = {},
): FreeguideError {
  return makers[code](message, options);
}

/** The error that a worker has sent. */
export function fromWire({ code, message, detail }: WireError): FreeguideError {
  return makeError(code, message, { detail });
}

/** An error in the form in which a worker sends it. */
export function toWire(error: unknown): WireError {
  const { code, message, detail } = asFreeguideError(error);
  return { code, message, detail };
}

/** The message of any thrown value. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  return String(thrown);
}

/**
 * Any thrown value as a `FreeguideError`. The runtime throws plain `Error`s with a `code`. Anything without a known code is
 * a crash (a wasm trap, or misuse that leaves the instance in an unknown state) and becomes `poisoned`.
 */
export function asFreeguideError(thrown: unknown): FreeguideError {
  if (thrown instanceof FreeguideError) return thrown;
  const { code, detail } = (typeof thrown === "object" && thrown !== null ? thrown : {}) as { code?: unknown; detail?: unknown };
  if (typeof code === "string" && Object.hasOwn(makers, code)) {
    return makeError(code as ErrorCode, messageOf(thrown), {
      detail: typeof detail === "string" ? detail : undefined,
      cause: thrown,
    });
  }
  return new PoisonedError(`the runtime crashed: ${messageOf(thrown)}`, { cause: thrown });
}
