import { FreeguideError, messageOf, type ErrorCode } from "./errors.js";

const words: Record<ErrorCode, { title: string; advice: string }> = {
  aborted: { title: "Stopped", advice: "It was stopped before it was done." },
  network: {
    title: "The model could not be fetched",
    advice: "Check the connection and the address of the model, then try again.",
  },
  bundle: {
    title: "This model is damaged or not meant for this page",
    advice: "Nothing of it was used. If the files were just uploaded, some of them may be old or incomplete.",
  },
  device: { title: "This device cannot be used", advice: "Another device may do: the CPU always works, only more slowly." },
  "self-test": {
    title: "This device computes wrongly",
    advice: "It was asked something with a known answer and got it wrong, so it is not used. The CPU will do.",
  },
  input: { title: "These settings are not allowed", advice: "Change them and draw again." },
  disposed: { title: "The model was closed", advice: "Load it again to go on." },
  poisoned: { title: "The runtime crashed", advice: "Loading the model again starts a fresh one." },
};

/** An error for people. */
export interface ErrorWords {
  /** What happened, in a few words. */
  readonly title: string;
  /** What may help. */
  readonly advice: string;
  /** What exactly was wrong, as the error says it. Plain text, part of which may come from a bundle or a server. */
  readonly detail: string;
}

/** Says in words what went wrong and what may help, for errors of this package and for any other. */
export function describeError(error: unknown): ErrorWords {
  const known = error instanceof FreeguideError ? words[error.code] : undefined;
  const { title, advice } = known ?? { title: "Something went wrong", advice: "Reload the page to start over." };
  return { title, advice, detail: messageOf(error) };
}
