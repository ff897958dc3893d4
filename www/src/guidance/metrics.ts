import type { Classified } from "freeguide/classifier";

/** A classified picture: the index of the requested class among the classifier's, and the classifier's result. */
export interface Seen extends Classified {
  readonly asked: number;
}

const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The fraction of pictures that the classifier assigns to the requested class. */
export function recognised(seen: readonly Seen[]): number | undefined {
  return mean(seen.map(({ asked, probabilities }) => Number(probabilities.indexOf(Math.max(...probabilities)) === asked)));
}

/**
 * exp of the mean KL divergence of p(y | x) from p(y) (Salimans et al. 2016): from 1, if all results are
 * equal, to the number of classes, if each is certain and all are equally frequent.
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

/** The mean distance between the features of two pictures of one class, a measure of variety within classes. */
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
