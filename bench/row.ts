/** A measured figure against its target. */
export interface Row {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** In words, such as "≥ 0.60". */
  readonly target: string
  readonly held: boolean
}

export const atLeast = (name: string, value: number, unit: string, least: number): Row => ({
  name,
  value,
  unit,
  target: `≥ ${least}`,
  held: value >= least,
})
export const atMost = (name: string, value: number, unit: string, most: number): Row => ({
  name,
  value,
  unit,
  target: `≤ ${most}`,
  held: value <= most,
})

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
