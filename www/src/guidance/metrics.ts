import type { Classified } from "freeguide/classifier";

/** A picture that was looked at: the class that was asked for, as a place among the classifier's, and its answer. */
export interface Seen extends Classified {
  readonly asked: number;
}

const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The share of pictures that the classifier takes for the class that was asked for. */
export function recognised(seen: readonly Seen[]): number | undefined {
  return mean(seen.map(({ asked, probabilities }) => Number(probabilities.indexOf(Math.max(...probabilities)) === asked)));
}

/**
 * exp of the mean KL divergence of p(y | x) from p(y) (Salimans et al. 2016): from 1, where all answers are alike, to the
 * number of classes, where each is certain and all are equally frequent.
 */
export function inceptionScore(seen: readonly Seen[]): number | undefined {
  const [first] = seen;
  if (!first) return undefined;
  const marginal = Array.from(first.probabilities, (_, y) => mean(seen.map(({ probabilities }) => probabilities[y] ?? 0)) ?? 0);
  const divergence = mean(
    seen.map(({ probabilities }) =>
      probabilities.reduce((sum, p, y) => (p > 0 ? sum + p * Math.log(p / (marginal[y] ?? 1)) : sum), 0),
    ),
  );
  return divergence === undefined ? undefined : Math.exp(divergence);
}

/** The mean distance between the features of two pictures of one class: how varied the pictures of a class are. */
export function variety(seen: readonly Seen[]): number | undefined {
  const distances: number[] = [];
  seen.forEach((a, at) => {
    for (const b of seen.slice(at + 1)) {
      if (a.asked !== b.asked) continue;
      distances.push(Math.sqrt(a.features.reduce((sum, value, i) => sum + (value - (b.features[i] ?? 0)) ** 2, 0)));
    }
  });
  return mean(distances);
}
