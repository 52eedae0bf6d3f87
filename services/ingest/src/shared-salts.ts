import { PipelineError } from '@footfall/contracts/errors'
import { shiftDay } from '@footfall/enrichment/local-time'
import { Redis } from 'ioredis'
import { newSalt, type SaltedDeployment, type SaltOffer, type Salts } from './salts.ts'

/** Salts that all ingests have in common. */
export interface SharedSalts {
  readonly offer: SaltOffer
  /**
   * Tells the others what we hold, and asks for what we do not. Changes nothing while the Redis is away: an event
   * without a salt goes without a visitor.
   * @throws CONFLICT when the Redis persists.
   */
  exchange(salts: Salts, deployments: readonly SaltedDeployment[]): Promise<void>
  /** Why the last exchange did not come about; null when it did. */
  problem(): string | null
  close(): Promise<void>
}

export interface SharedSaltsOptions {
  readonly onProblem: (problem: string) => void
  /** After a start of the Redis nothing is made for so long: who holds a salt has told it by then. Default 10,000. */
  readonly settleMs?: number
}

const prefix = 'footfall:salt:'
const sinceKey = 'footfall:salts:since'
const keyOf = (deployment: string, day: string): string => `${prefix}${day}:${deployment}`

/** The end of the day after `day`, wherever the deployment is: a net below the ingests, which remove it at its time. */
const expiryOf = (day: string): number => Date.parse(`${shiftDay(day, 2)}T12:00:00Z`)

/**
 * Refuses a Redis that writes to a disk: a salt that outlives its day there would let visitors be found again.
 * @throws CONFLICT that says what to set.
 */
async function checkRedis(redis: Redis, server: string): Promise<void> {
  const info = await redis.info('persistence')
  const save = await redis.config('GET', 'save').then(
    (answer) => answer[1] ?? '',
    // A managed server that forbids CONFIG: its AOF at least is seen.
    () => '',
  )
  const faults = [
    ...(/^aof_enabled:1/m.test(info) ? ['set appendonly to no'] : []),
    ...(save === '' ? [] : [`set save to "" (it is "${save}")`]),
  ]
  if (faults.length > 0)
    throw new PipelineError(
      'CONFLICT',
      `The Redis at ${server} (SALT_REDIS_URL) writes salts to its disk: ${faults.join(' and ')}, and use one of its own for them.`,
    )
}

/**
 * Shares salts through a Redis without persistence. A salt is made there once (the first to set it), for a day that
 * nobody can have hashed yet; each ingest keeps it in its file before it uses it, and tells a Redis that started anew.
 * @param url redis://user:password@host:6379
 */
export function openSharedSalts(url: string, options: SharedSaltsOptions): SharedSalts {
  const { onProblem, settleMs = 10_000 } = options
  const server = new URL(url).host
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: 2_000,
    retryStrategy: (times) => Math.min(2_000, times * 100),
  })
  // Told by the exchange that fails.
  redis.on('error', () => undefined)
  let isChecked = false
  let problem: string | null = null
  const offers = new Map<string, string>()
  /** Keys that this life of the Redis has had from us. */
  let published = new Set<string>()
  let life = ''

  const connect = async (): Promise<void> => {
    if (redis.status === 'wait') await redis.connect()
    if (redis.status !== 'ready') throw new Error(`it is ${redis.status}`)
    if (isChecked) return
    await checkRedis(redis, server)
    isChecked = true
  }

  const talk = async (salts: Salts, deployments: readonly SaltedDeployment[]): Promise<void> => {
    await connect()
    const [seconds, micros] = await redis.time()
    const time = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
    await redis.set(sinceKey, String(time), 'NX')
    const since = await redis.get(sinceKey)
    if (since === null) return
    if (since !== life) {
      published = new Set()
      // Others may have made new ones since; what we hold stands until we hear of theirs.
      offers.clear()
    }
    life = since

    const wanted: { id: string; day: string; isMakeable: boolean }[] = []
    const current = new Set<string>()
    const batch = redis.pipeline()
    /** What each command of the batch is for. */
    const changes: { key: string; isTold: boolean }[] = []
    for (const deployment of deployments) {
      const { id, today } = deployment
      for (const day of [shiftDay(today, -1), today, shiftDay(today, 1)]) {
        const key = keyOf(id, day)
        current.add(key)
        const held = salts.get(id, day)
        if (held !== null && !published.has(key)) {
          batch.set(key, held, 'PXAT', expiryOf(day), 'NX')
          changes.push({ key, isTold: true })
        }
        if (!offers.has(key))
          wanted.push({ id, day, isMakeable: day > today || (day === today && salts.mayBeMade(deployment)) })
      }
    }
    for (const key of published) {
      if (current.has(key)) continue
      batch.del(key)
      changes.push({ key, isTold: false })
      offers.delete(key)
    }
    const answers = changes.length > 0 ? await batch.exec() : []
    let failure: Error | null = null
    for (const [index, { key, isTold }] of changes.entries()) {
      const [error] = answers?.[index] ?? [new Error('it did not answer')]
      if (error) failure = error
      else if (isTold) published.add(key)
      else published.delete(key)
    }
    // What failed is said again by the next exchange. Until then none is made: it could stand in the place of one we hold.
    if (failure) throw failure
    if (wanted.length === 0) return
    const found = await redis.mget(wanted.map(({ id, day }) => keyOf(id, day)))
    for (const [index, { id, day, isMakeable }] of wanted.entries()) {
      const key = keyOf(id, day)
      let salt = found[index] ?? null
      if (salt === null && isMakeable && time - Number(since) >= settleMs) {
        await redis.set(key, newSalt(), 'PXAT', expiryOf(day), 'NX')
        salt = await redis.get(key)
      }
      if (salt === null) continue
      const held = salts.get(id, day)
      if (held !== null && held !== salt && deployments.some((one) => one.id === id && day <= one.today))
        onProblem(`${id} had another salt on ${day} than the other ingests: its visitors of that day count twice here`)
      offers.set(key, salt)
      published.add(key)
    }
  }

  return {
    offer: (deployment, day) => offers.get(keyOf(deployment, day)) ?? null,
    async exchange(salts, deployments) {
      try {
        await talk(salts, deployments)
        problem = null
      } catch (error) {
        if (error instanceof PipelineError) throw error
        const seen = `salts are not shared for now: ${server}: ${error instanceof Error ? error.message : String(error)}`
        if (seen !== problem) onProblem(seen)
        problem = seen
      }
    },
    problem: () => problem,
    async close() {
      redis.disconnect()
    },
  }
}
