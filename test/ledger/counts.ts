import { parseArgs } from 'node:util'

/**
 * Reads `--name NUMBER` for each name, beside `--seed` and `--json FILE`.
 * @param defaults how often each thing is done when nothing is said.
 */
export function readCounts<Name extends string>(
  defaults: Readonly<Record<Name, number>>,
): { counts: Record<Name, number>; seed: number; json: string | undefined } {
  const names = Object.keys(defaults) as Name[]
  const { values } = parseArgs({
    options: Object.fromEntries([...names, 'seed', 'json'].map((name) => [name, { type: 'string' as const }])),
  })
  const count = (name: string, otherwise: number): number => {
    const value = Number(values[name] ?? otherwise)
    if (!Number.isSafeInteger(value) || value < 0)
      throw new Error(`--${name} must be a whole number, not ${String(values[name])}`)
    return value
  }
  return {
    counts: Object.fromEntries(names.map((name) => [name, count(name, defaults[name])])) as Record<Name, number>,
    seed: count('seed', Date.now() % 1_000_000),
    json: values.json,
  }
}
