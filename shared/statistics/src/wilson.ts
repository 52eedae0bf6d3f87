/** 97.5 % quantile of the normal distribution: two-sided 95 %. */
export const z95 = 1.959963984540054

/**
 * Wilson score interval of a proportion.
 * @returns null when there is nothing to divide by. Source: Newcombe, Statistics in Medicine 1998;17:857.
 */
export function wilsonInterval(successes: number, trials: number, z = z95): { low: number; high: number } | null {
  if (trials <= 0) return null
  const p = successes / trials
  const denominator = 1 + (z * z) / trials
  const centre = (p + (z * z) / (2 * trials)) / denominator
  const half = (z * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials))) / denominator
  // At the ends the formula gives exactly 0 and 1, its rounding not.
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === trials ? 1 : Math.min(1, centre + half),
  }
}
