import { createHash, randomBytes, randomInt, randomUUID, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isPipelineError, PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { App, Change, Deployment, Key, Organisation, RegistryRecord, Token } from '@footfall/contracts/registry'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { EventLog } from '@footfall/event-log'
import { writeDurably } from '@footfall/event-log/files'
import * as z from 'zod'
import { planCatalogue } from './plan.ts'
import { applyRecord, current, emptyState, readTimeZones, type RegistryState, type TimeZoneAt } from './state.ts'

export interface RegistryOptions {
  readonly log: EventLog
  /** The last good state, for starting without the log; written after each change. */
  readonly snapshotFile: string
  readonly now?: () => number
  readonly onProblem?: (problem: string) => void
}

export interface KeyOwner {
  readonly kind: Key['kind']
  readonly deployment: Deployment
  readonly timeZoneAt: TimeZoneAt
  readonly retired: boolean
}

export interface ApplyResult {
  readonly revision: number
  readonly changes: number
  readonly unchanged: number
  readonly generatedKeys: readonly { deployment: string; key: string }[]
}

export interface Registry {
  state(): RegistryState
  revision(): number
  /** Who a key belongs to; null when it is unknown or revoked. Called for every request. */
  lookupKey(key: string): KeyOwner | null
  deployment(id: string): Deployment | null
  /** Those in use, with the moment they were first registered. */
  deployments(): readonly {
    deployment: Deployment
    timeZoneAt: TimeZoneAt
    registeredAt: number
    operator: string
  }[]
  organisations(): readonly Organisation[]
  apps(): readonly App[]
  /** Makes the registry say what a catalogue says. @throws INVALID_REQUEST, STALE_REVISION */
  apply(catalogue: unknown, options: { actor: string; baseRevision?: number }): Promise<ApplyResult>
  /**
   * Appends changes as one record; resolves when it is read back and holds.
   * @throws STALE_REVISION; LOG_UNAVAILABLE, LOG_FULL: it was not made, or the log is away and does not tell.
   */
  change(changes: readonly Change[], options: { actor: string; baseRevision?: number }): Promise<number>
  /** A key for servers: the secret is returned once, only its SHA-256 is kept. */
  createServerKey(deployment: string, actor: string): Promise<string>
  createToken(options: { scope: Token['scope']; ttlMs: number; actor: string }): Promise<{ id: string; secret: string }>
  /** The token's scope, or null. */
  verifyToken(secret: string): Token['scope'] | null
  revoke(what: { key: string } | { token: string }, actor: string): Promise<number>
  retire(entity: 'organisation' | 'app' | 'deployment', id: string, actor: string): Promise<number>
  onChange(listener: () => void): void
  /** Newest first. */
  history(limit: number): Promise<RegistryRecord[]>
  close(): Promise<void>
}

const recordSchema = z.object({
  v: z.literal(1),
  revision: z.number().int(),
  at: z.number(),
  actor: z.string(),
  change: z.string().optional(),
  changes: z.array(z.object({ kind: z.string(), value: z.unknown() })),
})
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** How long the log is left alone after it could not be read. */
const retryMs = 1_000

/** A new public key: `pk_` and 24 random letters and digits. */
export const newPublicKey = (): string =>
  `pk_${Array.from({ length: 24 }, () => letters[randomInt(letters.length)]).join('')}`

/**
 * Reads the registry's topic to its end and follows it. Every change is one durable record; history is the audit log.
 * Resolves when the state is that of the end seen at start.
 */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { log } = options
  const now = options.now ?? Date.now
  const report = options.onProblem ?? (() => undefined)
  const listeners: (() => void)[] = []
  const stopping = new AbortController()
  let state: RegistryState = emptyState
  let owners = new Map<string, KeyOwner>()
  let timeZones = new Map<string, TimeZoneAt>()
  const localTime = createLocalClock()
  let next = 0
  let waiting: { offset: number; resolve: () => void }[] = []
  /** What becomes of changes of ours that were not read back yet. */
  const unread = new Map<string, (isApplied: boolean) => void>()
  let writing: Promise<unknown> = Promise.resolve()

  const index = (): void => {
    timeZones = new Map([...state.deployments].map(([id, entity]) => [id, readTimeZones(entity, localTime)]))
    owners = new Map()
    for (const key of state.keys.values()) {
      const entity = state.deployments.get(key.deployment)
      if (key.revoked_at === null && entity)
        owners.set(key.id, {
          kind: key.kind,
          deployment: current(entity),
          timeZoneAt: timeZones.get(key.deployment)!,
          retired: entity.retiredAt !== null,
        })
    }
  }

  const logIdNow = (): string | null => {
    try {
      return log.logId
    } catch {
      // A shared log that was never reached yet.
      return null
    }
  }
  /** The log that the state comes from. */
  let stateOf = logIdNow()

  const writeSnapshot = async (): Promise<void> => {
    const text = JSON.stringify({ v: 1, logId: stateOf, next, state }, (_name, value: unknown) =>
      value instanceof Map ? [...value] : value,
    )
    await writeDurably(options.snapshotFile, text)
  }
  /** Writes what holds now; one file at a time, and the last word last. */
  const saveSnapshot = (): Promise<void> => {
    isUnsaved = true
    saving = saving.then(async () => {
      if (!isUnsaved) return
      isUnsaved = false
      await writeSnapshot().catch((error: unknown) =>
        report(`the registry snapshot could not be written: ${String(error)}`),
      )
    })
    return saving
  }
  let isUnsaved = false
  let saving: Promise<void> = Promise.resolve()

  /** @returns whether there was one to go on with. */
  const readSnapshot = async (): Promise<boolean> => {
    try {
      const raw = JSON.parse(await readFile(options.snapshotFile, 'utf8')) as {
        v: number
        logId: string
        next: number
        state: Record<string, [string, never][]> & { revision: number }
      }
      // Another log's snapshot says nothing of this one.
      if (raw.v !== 1 || (stateOf !== null && raw.logId !== stateOf)) return false
      const map = (name: string): Map<string, never> => new Map(raw.state[name])
      state = {
        revision: raw.state.revision,
        organisations: map('organisations'),
        apps: map('apps'),
        deployments: map('deployments'),
        keys: map('keys'),
        tokens: map('tokens'),
      }
      stateOf = raw.logId
      next = raw.next
      index()
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        report('the registry snapshot could not be read; the log is read instead')
      return false
    }
  }

  const take = (offset: number, value: Buffer): void => {
    // It was ours, and known before it was read.
    if (offset < next) return
    next = offset + 1
    let change: string | undefined
    let isApplied = false
    try {
      const record = recordSchema.parse(JSON.parse(value.toString('utf8'))) as RegistryRecord
      change = record.change
      state = applyRecord(state, record)
      isApplied = true
      index()
      for (const listener of listeners) listener()
      // What comes in one go is written once.
      void saveSnapshot()
    } catch (error) {
      // One bad record must not stop a service: the last good state goes on.
      report(`registry record ${offset} is skipped: ${error instanceof Error ? error.message : String(error)}`)
    }
    // The first copy decides: if it was refused, the revision it builds on is past for the others too.
    if (change !== undefined) unread.get(change)?.(isApplied)
    waiting = waiting.filter((waiter) => {
      if (waiter.offset < next) waiter.resolve()
      return waiter.offset >= next
    })
  }

  /** Where the topic ends; null while the log cannot be read. */
  const readEnd = async (): Promise<number | null> => {
    try {
      return (await log.partitions(topics.registry))[0]?.end ?? 0
    } catch (error) {
      if (isPipelineError(error) && error.retryable) return null
      throw error
    }
  }
  const pause = (): Promise<void> => sleep(retryMs, undefined, { signal: stopping.signal }).catch(() => undefined)

  // The snapshot serves when the log cannot be read; the log, whole and small, is the truth.
  let end = await readEnd()
  if (end === null || end === 0) {
    for (let isKnown = await readSnapshot(); end === null && !isKnown; end = await readEnd()) {
      report('the log is away, and there is no snapshot of the registry to go on with yet')
      await pause()
      stateOf = logIdNow()
    }
  }
  /** Resolves when everything before an offset is read. */
  const readTo = (goal: number): Promise<void> =>
    new Promise((resolve) => (goal <= next ? resolve() : waiting.push({ offset: goal - 1, resolve })))
  const reachedEnd = readTo(end ?? 0)
  const follow = async (): Promise<void> => {
    let isTold = false
    while (!stopping.signal.aborted) {
      try {
        const from = new Map([[0, next]])
        const tail = log.tail(topics.registry, { from, signal: stopping.signal })
        if (stateOf !== null && log.logId !== stateOf) {
          report('the snapshot of the registry was that of another log; this one is read from its start')
          state = emptyState
          next = 0
          stateOf = log.logId
          index()
          continue
        }
        stateOf = log.logId
        for await (const record of tail) {
          isTold = false
          take(record.offset, record.value)
        }
        // The log was closed.
        return
      } catch (error) {
        if (!isPipelineError(error) || !error.retryable) throw error
        if (!isTold) report(`the registry is not followed for now: ${error.message}`)
        isTold = true
        await pause()
      }
    }
  }
  const following = follow().catch((error: unknown) => {
    if (!stopping.signal.aborted) report(`the registry is no longer followed: ${String(error)}`)
  })
  await reachedEnd

  /** One change at a time: each builds on the revision before. */
  const serially = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = writing.then(work)
    writing = result.catch(() => undefined)
    return result
  }

  /**
   * Whether a change holds is told by its record when it is read back, wherever and how often it lies: an append that
   * was tried again by the log's client is there twice, and one that failed may be there all the same.
   */
  const append = async (changes: readonly Change[], actor: string): Promise<number> => {
    const change = randomUUID()
    const record: RegistryRecord = {
      v: 1,
      revision: state.revision + 1,
      at: now(),
      actor,
      change,
      changes: [...changes],
    }
    let isApplied = false
    const isRead = new Promise<void>((resolve) =>
      unread.set(change, (became) => {
        isApplied ||= became
        resolve()
      }),
    )
    const value = JSON.stringify(record)
    const appending = log.append(topics.registry, [{ key: 'registry', value }])
    const isAppended = await appending.then(
      ({ positions }) => {
        // Nobody wrote in between, so it need not be read back: that may take a while when the log was just away.
        if (positions[0]?.offset === next) take(next, Buffer.from(value))
        return true
      },
      // Thrown below, unless the record is there.
      () => false,
    )
    try {
      await (isAppended ? isRead : readTo((await readEnd()) ?? 0))
    } finally {
      unread.delete(change)
    }
    await saveSnapshot()
    if (isApplied) return record.revision
    await appending
    throw new PipelineError('STALE_REVISION', 'Another process changed it first.')
  }

  const checkRevision = (base: number | undefined): void => {
    if (base !== undefined && base !== state.revision)
      throw new PipelineError('STALE_REVISION', `It is at ${state.revision}, you built on ${base}.`)
  }

  const registry: Registry = {
    state: () => state,
    revision: () => state.revision,
    lookupKey(key) {
      const owner = owners.get(key)
      if (owner?.kind === 'browser') return owner
      // What is kept of a server key opens nothing: only the secret that it is the hash of does.
      return key.startsWith('sk_') ? (owners.get(sha256(key)) ?? null) : null
    },
    deployment(id) {
      const entity = state.deployments.get(id)
      return entity && entity.retiredAt === null ? current(entity) : null
    },
    deployments: () =>
      [...state.deployments.values()]
        .filter(({ retiredAt }) => retiredAt === null)
        .map((entity) => {
          const deployment = current(entity)
          const organisation = state.organisations.get(deployment.organisation)
          return {
            deployment,
            timeZoneAt: timeZones.get(deployment.id)!,
            registeredAt: entity.versions[0]!.validFrom,
            operator: organisation ? current(organisation).name : deployment.organisation,
          }
        }),
    organisations: () => [...state.organisations.values()].filter(({ retiredAt }) => retiredAt === null).map(current),
    apps: () => [...state.apps.values()].filter(({ retiredAt }) => retiredAt === null).map(current),
    apply: (catalogue, { actor, baseRevision }) =>
      serially(async () => {
        checkRevision(baseRevision)
        const plan = planCatalogue(state, catalogue, { newKey: newPublicKey, now: now() })
        const revision = plan.changes.length > 0 ? await append(plan.changes, actor) : state.revision
        return { revision, changes: plan.changes.length, unchanged: plan.unchanged, generatedKeys: plan.generatedKeys }
      }),
    change: (changes, { actor, baseRevision }) =>
      serially(async () => {
        checkRevision(baseRevision)
        return append(changes, actor)
      }),
    async createServerKey(deployment, actor) {
      if (!registry.deployment(deployment))
        throw new PipelineError('NOT_FOUND', `There is no deployment "${deployment}".`)
      const secret = `sk_${randomBytes(32).toString('base64url')}`
      await registry.change(
        [
          {
            kind: 'key',
            value: { id: sha256(secret), deployment, kind: 'server', created_at: now(), revoked_at: null },
          },
        ],
        { actor },
      )
      return secret
    },
    async createToken({ scope, ttlMs, actor }) {
      const id = randomBytes(8).toString('hex')
      const secret = `ff_${id}_${randomBytes(32).toString('base64url')}`
      const token: Token = {
        id,
        hash: sha256(secret),
        scope,
        created_at: now(),
        expires_at: now() + ttlMs,
        revoked_at: null,
      }
      await registry.change([{ kind: 'token', value: token }], { actor })
      return { id, secret }
    },
    verifyToken(secret) {
      const id = /^ff_([0-9a-f]{16})_/.exec(secret)?.[1]
      const token = id === undefined ? undefined : state.tokens.get(id)
      if (!token || token.revoked_at !== null || token.expires_at <= now()) return null
      return timingSafeEqual(Buffer.from(token.hash, 'hex'), Buffer.from(sha256(secret), 'hex')) ? token.scope : null
    },
    async revoke(what, actor) {
      const key = 'key' in what ? state.keys.get(what.key) : undefined
      if (key) return registry.change([{ kind: 'key', value: { ...key, revoked_at: now() } }], { actor })
      const token = 'token' in what ? state.tokens.get(what.token) : undefined
      if (token) return registry.change([{ kind: 'token', value: { ...token, revoked_at: now() } }], { actor })
      throw new PipelineError('NOT_FOUND', 'There is no such key or token.')
    },
    async retire(entity, id, actor) {
      const map = { organisation: state.organisations, app: state.apps, deployment: state.deployments }[entity]
      if (!map.has(id)) throw new PipelineError('NOT_FOUND', `There is no ${entity} "${id}".`)
      return registry.change([{ kind: 'retire', value: { entity, id } }], { actor })
    },
    onChange: (listener) => void listeners.push(listener),
    async history(limit) {
      const records: RegistryRecord[] = []
      const [state] = await log.partitions(topics.registry)
      if (!state || state.end === state.start) return records
      const done = new AbortController()
      for await (const { offset, value } of log.tail(topics.registry, { from: 'start', signal: done.signal })) {
        const parsed = recordSchema.safeParse(JSON.parse(value.toString('utf8')))
        if (parsed.success) records.push(parsed.data as RegistryRecord)
        if (offset + 1 >= state.end) break
      }
      done.abort()
      return records.reverse().slice(0, limit)
    },
    async close() {
      stopping.abort()
      await following
      await saving
    },
  }
  return registry
}
