import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { shiftDay } from '@footfall/enrichment/local-time'
import * as z from 'zod'

const fileSchema = z.object({
  v: z.literal(1),
  salts: z.record(z.string(), z.record(z.string(), z.string().length(64))),
})

export interface SaltedDeployment {
  readonly id: string
  /** Its local day now. */
  readonly today: string
  /** True when it was registered on `today`: nobody can have hashed with a salt that this process does not hold. */
  readonly isNew: boolean
}

export interface Salts {
  /** The salt of a deployment's local day as text; null when nobody has it: the event gets no visitor. */
  get(deployment: string, day: string): string | null
  /** Makes the salts of today (where that is safe) and tomorrow, forgets those before yesterday; durable when it returns. */
  turn(deployments: readonly SaltedDeployment[]): void
}

/**
 * One random salt per deployment and local day, for yesterday, today and tomorrow, in a file (0600) that is on disk
 * before its first use and in no backup. Never invents a salt: when the file is lost, a deployment that was measured
 * earlier today stays without visitors until its next midnight, since a second salt would count everybody twice.
 */
export function openSalts(file: string): Salts {
  let salts: Record<string, Record<string, string>> = {}
  let lost = !existsSync(file)
  if (!lost) {
    try {
      salts = fileSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).salts
    } catch {
      // A file that cannot be read is a lost one; the next write replaces it.
      lost = true
    }
  }

  const write = (): void => {
    const temporary = `${file}.new`
    const descriptor = openSync(temporary, 'w', 0o600)
    try {
      writeSync(descriptor, JSON.stringify({ v: 1, salts }))
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, file)
    const directory = openSync(dirname(file), 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  }

  return {
    get: (deployment, day) => salts[deployment]?.[day] ?? null,
    turn(deployments) {
      const next: typeof salts = {}
      let changed = false
      for (const { id, today, isNew } of deployments) {
        const held = salts[id] ?? {}
        const yesterday = shiftDay(today, -1)
        const tomorrow = shiftDay(today, 1)
        const kept: Record<string, string> = {}
        for (const [day, salt] of Object.entries(held)) {
          // Days beyond tomorrow appear when a time zone moves back; they come into use on their day.
          if (day >= yesterday) kept[day] = salt
          else changed = true
        }
        const fresh = [tomorrow, ...(isNew || !lost ? [today] : [])].filter((day) => kept[day] === undefined)
        for (const day of fresh) kept[day] = randomBytes(32).toString('hex')
        changed ||= fresh.length > 0
        next[id] = kept
      }
      changed ||= Object.keys(salts).some((id) => !(id in next))
      if (!changed) return
      const before = salts
      salts = next
      try {
        write()
      } catch (error) {
        salts = before
        throw error
      }
    },
  }
}
