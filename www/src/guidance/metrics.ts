import type { Classified } from "freeguide/classifier";

/** A classified picture: the index of the requested class among the classifier's, and the classifier's result. */
export interface ClassifiedPicture extends Classified {
  readonly requested: number;
}

const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The fraction of pictures that the classifier assigns to the requested class. */
export function recognised(pictures: readonly ClassifiedPicture[]): number | undefined {
  return mean(pictures.map(({ requested, probabilities }) => Number(probabilities.indexOf(Math.max(...probabilities)) === requested)));
}

/**
 * exp of the mean KL divergence of p(y | x) from p(y) (Salimans et al. 2016): from 1, if all results are
 * equal, to the number of classes, if each is certain and all are equally frequent.
 */
export function inceptionScore(pictures: readonly ClassifiedPicture[]): number | undefined {
  const [first] = pictures;
  if (!first) return undefined;
  const marginal = Array.from(first.probabilities, (_, y) => mean(pictures.map(({ probabilities }) => probabilities[y] ?? 0)) ?? 0);
  const divergence = mean(
    pictures.map(({ probabilities }) =>
      probabilities.reduce((sum, p, y) => (p > 0 ? sum + p * Math.log(p / (marginal[y] ?? 1)) : sum), 0),
    ),
  );
  return divergence === undefined ? undefined : Math.exp(divergence);
}

/** The mean distance between the features of two pictures of one class, a measure of variety within classes. */
export function variety(pictures: readonly ClassifiedPicture[]): number | undefined {
  const distances: number[] = [];
  pictures.forEach((a, at) => {
    for (const b of pictures.slice(at + 1)) {
      if (a.requested !== b.requested) continue;
      distances.push(Math.sqrt(a.features.reduce((sum, value, i) => sum + (value - (b.features[i] ?? 0)) ** 2, 0)));
    }
  });
  return mean(distances);
}
