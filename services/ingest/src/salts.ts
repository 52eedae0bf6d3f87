import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { shiftDay } from '@footfall/enrichment/local-time'
import * as z from 'zod'

const entrySchema = z.object({
  /** By local day. */
  salts: z.record(z.string(), z.string().length(64)),
  /** The last day that may have been hashed with a salt nobody holds any more; no salt is made for it or before it. */
  spentTo: z.string(),
})
const fileSchema = z.object({ v: z.literal(2), deployments: z.record(z.string(), entrySchema) })
type Entry = z.infer<typeof entrySchema>

export interface SaltedDeployment {
  readonly id: string
  /** Its local day now. */
  readonly today: string
  /** True when it was first registered on `today`. */
  readonly isNew: boolean
}

export interface Salts {
  /** The salt of a deployment's local day as text; null when nobody has it: the event gets no visitor. */
  get(deployment: string, day: string): string | null
  /** Whether a salt for the deployment's day of today may be made: nobody can have hashed with another. */
  mayBeMade(deployment: SaltedDeployment): boolean
  /**
   * Makes the salts of today and tomorrow where nobody can have hashed with others, forgets those before yesterday, also
   * of deployments that are no longer among these; durable when it returns.
   * @param now Unix milliseconds.
   * @throws when the file cannot be written: the salts are as they were, in memory and on the disk.
   */
  turn(deployments: readonly SaltedDeployment[], now: number): void
}

/** Gives salts that several ingests share; without one, each makes its own. */
export type SaltOffer = (deployment: string, day: string) => string | null

/** Where a day begins first: what is over here is over, or in its last hours, wherever a deployment may have been. */
const firstZoneMs = 14 * 3600_000

/** An entry without the salts of days before `oldest`. */
function forget(entry: Entry, oldest: string): Entry {
  const gone = Object.keys(entry.salts).filter((day) => day < oldest)
  if (gone.length === 0) return entry
  return {
    salts: Object.fromEntries(Object.entries(entry.salts).filter(([day]) => day >= oldest)),
    spentTo: [entry.spentTo, ...gone].sort().at(-1)!,
  }
}

export const newSalt = (): string => randomBytes(32).toString('hex')

/** An entry with its own new salt for a day, unless the day is spent. */
function make(entry: Entry, day: string): Entry {
  if (entry.salts[day] !== undefined || day <= entry.spentTo) return entry
  return { ...entry, salts: { ...entry.salts, [day]: newSalt() } }
}

/** An entry with the salt that others have for a day: it is the day's, whoever spent it. */
function take(entry: Entry, day: string, salt: string | null): Entry {
  return salt === null || salt === entry.salts[day] ? entry : { ...entry, salts: { ...entry.salts, [day]: salt } }
}

/**
 * One random salt per deployment and local day, for yesterday, today and tomorrow, in a file (0600) that is on disk
 * before its first use and in no backup. Never invents a salt: a second one would count everybody of the day twice. A
 * day whose salt is gone (the file is lost, the clock went forward and came back) stays without visitors.
 * @param offer where several ingests share their salts: then none is made here.
 */
export function openSalts(file: string, offer: SaltOffer | null = null): Salts {
  let entries: Readonly<Record<string, Entry>> = {}
  let found: 'whole' | 'none' | 'unreadable' = existsSync(file) ? 'whole' : 'none'
  if (found === 'whole') {
    try {
      entries = fileSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).deployments
    } catch {
      // A file that cannot be read is a lost one; the next write replaces it.
      found = 'unreadable'
    }
  }

  /** Whether somebody may have hashed today with a salt that we never saw. */
  const mayBeSpent = ({ isNew }: SaltedDeployment): boolean => found === 'unreadable' || (found === 'none' && !isNew)

  const write = (next: typeof entries): void => {
    const temporary = `${file}.new`
    try {
      const descriptor = openSync(temporary, 'w', 0o600)
      try {
        // Not writeSync, which stops where a disk is full and says so only by what it returns.
        writeFileSync(descriptor, JSON.stringify({ v: 2, deployments: next }))
        fsyncSync(descriptor)
      } finally {
        closeSync(descriptor)
      }
      renameSync(temporary, file)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    const directory = openSync(dirname(file), 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  }

  return {
    get: (deployment, day) => entries[deployment]?.salts[day] ?? null,
    mayBeMade: (deployment) =>
      deployment.isNew && !mayBeSpent(deployment) && deployment.today > (entries[deployment.id]?.spentTo ?? ''),
    turn(deployments, now) {
      const next = { ...entries }
      for (const deployment of deployments) {
        const { id, today } = deployment
        const known = next[id] ?? { salts: {}, spentTo: mayBeSpent(deployment) ? today : '' }
        // Days beyond tomorrow appear when a clock or a time zone moves back; they come into use on their day.
        const kept = forget(known, shiftDay(today, -1))
        const days = [-1, 0, 1].map((days) => shiftDay(today, days))
        next[id] = offer
          ? days.reduce((entry, day) => take(entry, day, offer(id, day)), kept)
          : days.slice(1).reduce(make, kept)
      }
      const listed = new Set(deployments.map(({ id }) => id))
      const oldestAnywhere = shiftDay(new Date(now + firstZoneMs).toISOString().slice(0, 10), -1)
      for (const [id, entry] of Object.entries(next)) if (!listed.has(id)) next[id] = forget(entry, oldestAnywhere)
      if (Object.entries(next).some(([id, entry]) => entry !== entries[id])) {
        write(next)
        entries = next
      }
      // From here on, a deployment without an entry is one that came later.
      if (found === 'unreadable') found = 'none'
    },
  }
}
