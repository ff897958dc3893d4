import { FreeguideError, messageOf, type ErrorCode } from "./errors.js";

const words: Record<ErrorCode, { title: string; advice: string }> = {
  aborted: { title: "Stopped", advice: "It was stopped before it finished." },
  network: {
    title: "The model could not be fetched",
    advice: "Check the connection and the address of the model, then try again.",
  },
  bundle: {
    title: "This model is damaged or incompatible",
    advice: "It was not loaded. If its files were just uploaded, some of them may be outdated or incomplete.",
  },
  device: { title: "This device cannot be used", advice: "Try another device: the CPU always works, but is slower." },
  "self-test": {
    title: "This device computes wrong results",
    advice: "It failed a test with a known result, so it is not used. Use the CPU instead.",
  },
  input: { title: "These settings are not allowed", advice: "Change them and draw again." },
  disposed: { title: "The model was closed", advice: "Load it again to continue." },
  poisoned: { title: "The runtime crashed", advice: "Load the model again to restart it." },
};

/** An error for people. */
export interface ErrorWords {
  /** What happened, in a few words. */
  readonly title: string;
  /** What may help. */
  readonly advice: string;
  /** The error's own message. Plain text, part of which may come from a bundle or a server. */
  readonly detail: string;
}

/** Describes an error of this package, or any other, for people: what happened and what may help. */
export function describeError(error: unknown): ErrorWords {
  const known = error instanceof FreeguideError ? words[error.code] : undefined;
  const { title, advice } = known ?? { title: "Something went wrong", advice: "Reload the page to start over." };
  return { title, advice, detail: messageOf(error) };
}
