/** Intervals of shares. */

const Z = 1.959963984540054; // of 95%

/** Wilson's interval of a share, as nnspec/intervals.py has it. */
export function wilson(successes: number, trials: number): [number, number] {
  if (!trials) return [0, 1];
  const share = successes / trials;
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + Z ** 2 / (4 * trials ** 2));
  const middle = share + Z ** 2 / (2 * trials);
  const scale = 1 + Z ** 2 / trials;
  return [successes ? (middle - spread) / scale : 0, successes < trials ? (middle + spread) / scale : 1];
}

/** The difference of two shares of the same pairs, with an interval (Bonett and Price 2012, adjusted Wald): of pairs in
 * which only the first succeeds, and only the second. */
export function pairedDifference(onlyFirst: number, onlySecond: number, pairs: number): [number, number, number] {
  const [one, two] = [(onlyFirst + 1) / (pairs + 2), (onlySecond + 1) / (pairs + 2)];
  const middle = one - two;
  const spread = Z * Math.sqrt((one + two - middle ** 2) / (pairs + 2));
  return [(onlyFirst - onlySecond) / pairs, Math.max(-1, middle - spread), Math.min(1, middle + spread)];
}

/** The value below which a share of sorted values lies. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
