/** A measured figure against its target. */
export interface Row {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** In words, such as "≥ 0.60"; "–" where the figure is only reported. */
  readonly target: string
  readonly held: boolean
  /** What makes the figure readable. */
  readonly note?: string
}

interface Figure {
  readonly value: number
  readonly unit: string
  readonly note?: string
}

const row = (name: string, { value, unit, note }: Figure, target: string, held: boolean): Row => ({
  name,
  value,
  unit,
  target,
  held,
  ...(note === undefined ? {} : { note }),
})

export const atLeast = (name: string, figure: Figure & { target: number }): Row =>
  row(name, figure, `≥ ${figure.target}`, figure.value >= figure.target)
export const atMost = (name: string, figure: Figure & { target: number }): Row =>
  row(name, figure, `≤ ${figure.target}`, figure.value <= figure.target)
/** A figure without a target of its own. */
export const reported = (name: string, figure: Figure): Row => row(name, figure, '–', true)

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** @param share 0.95 for the 95th percentile. */
export function percentile(values: Iterable<number>, share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
