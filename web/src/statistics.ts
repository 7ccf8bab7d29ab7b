/** Intervals of shares and of their differences, as nnspec/intervals.py and nnspec/analysis/differences.py have them. */

const Z = 1.959963984540054; // of 95%
const ERROR = 0.025; // on each side of it

/** Wilson's interval of a share. */
export function wilson(successes: number, trials: number): [number, number] {
  if (!trials) return [0, 1];
  const share = successes / trials;
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + Z ** 2 / (4 * trials ** 2));
  const middle = share + Z ** 2 / (2 * trials);
  const scale = 1 + Z ** 2 / trials;
  return [successes ? (middle - spread) / scale : 0, successes < trials ? (middle + spread) / scale : 1];
}

export interface Difference {
  difference: number;
  low: number;
  high: number;
  p: number; // two-sided, of no difference
}

/** The difference of two shares of the same pairs, of which in so many only the first succeeds, and only the second.
 *
 * It is `paired_difference` of nnspec with one pair a seed, where each step has a closed form: the test is McNemar's
 * exact one, and every limit that is searched there is one of Clopper and Pearson. */
export function pairedDifference(onlyFirst: number, onlySecond: number, pairs: number): Difference {
  const either = onlyFirst + onlySecond;
  const p = 2 * Math.min(atLeast(onlyFirst, either, 0.5), atLeast(onlySecond, either, 0.5));
  return {
    difference: (onlyFirst - onlySecond) / pairs,
    low: lowest(onlyFirst, onlySecond, pairs),
    high: -lowest(onlySecond, onlyFirst, pairs),
    p: Math.min(1, p),
  };
}

/** The lower limit of the difference: how uncertain the signs of the pairs that differ are, and how uncertain it is how
 * many differ, added as squares. */
function lowest(onlyFirst: number, onlySecond: number, pairs: number): number {
  const [either, difference] = [onlyFirst + onlySecond, (onlyFirst - onlySecond) / pairs];
  const sign = 2 * lowerLimit(onlyFirst, either) - 1; // the least mean sign of a pair that differs
  const share = sign < 0 ? 1 - lowerLimit(pairs - either, pairs) : lowerLimit(either, pairs);
  const stated = Math.min(difference, (sign * either) / pairs);
  const low = Math.max(-1, difference - Math.hypot(difference - stated, Math.min(0, sign * share - stated)));
  // rounding may have put it on the other side of 0 than the test
  return atLeast(onlyFirst, either, 0.5) < ERROR ? Math.max(low, Number.MIN_VALUE) : Math.min(low, 0);
}

/** The lower limit of Clopper and Pearson of a probability: so many successes or more are as rare as `ERROR` there. */
function lowerLimit(successes: number, trials: number): number {
  let [low, high] = [0, successes ? 1 : 0];
  for (let halvings = 0; halvings < 60 && low < high; halvings++) {
    const middle = (low + high) / 2;
    if (atLeast(successes, trials, middle) < ERROR) low = middle;
    else high = middle;
  }
  return high;
}

/** The probability of so many successes or more, each of probability `p`. */
function atLeast(successes: number, trials: number, p: number): number {
  if (successes <= 0) return 1;
  return successes > trials * p ? beyond(successes, trials, p) : 1 - beyond(trials - successes + 1, trials, 1 - p);
}

/** The same where it is more than is likely, so that each number of successes is rarer than the one before. */
function beyond(successes: number, trials: number, p: number): number {
  const ways = logFactorial(trials) - logFactorial(successes) - logFactorial(trials - successes);
  let term = Math.exp(ways + successes * Math.log(p) + (trials - successes) * Math.log1p(-p));
  let sum = 0;
  for (let n = successes; n <= trials && term > 1e-17 * sum; n++) {
    sum += term;
    term *= (((trials - n) / (n + 1)) * p) / (1 - p);
  }
  return sum;
}

const factorials = [0]; // their logarithms, as far as they were asked for

function logFactorial(n: number): number {
  for (let k = factorials.length; k <= n; k++) factorials.push(factorials[k - 1] + Math.log(k));
  return factorials[n];
}

/** The quantile `share` of sorted values, interpolated linearly as nnspec's; beside an infinite one it is infinite. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const [below, above] = [sorted[low], sorted[Math.min(low + 1, sorted.length - 1)]];
  return place === low || below === above ? below : below + (place - low) * (above - below);
}
