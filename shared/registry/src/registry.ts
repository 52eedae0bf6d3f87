import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { App, Change, Deployment, Key, Organisation, RegistryRecord, Token } from '@footfall/contracts/registry'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { EventLog } from '@footfall/event-log'
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
  /** Appends changes as one record. @throws STALE_REVISION */
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
  changes: z.array(z.object({ kind: z.string(), value: z.unknown() })),
})
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

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

  const writeSnapshot = async (): Promise<void> => {
    const text = JSON.stringify({ v: 1, logId: log.logId, next, state }, (_name, value: unknown) =>
      value instanceof Map ? [...value] : value,
    )
    const handle = await open(`${options.snapshotFile}.new`, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(`${options.snapshotFile}.new`, options.snapshotFile)
  }

  const readSnapshot = async (): Promise<void> => {
    try {
      const raw = JSON.parse(await readFile(options.snapshotFile, 'utf8')) as {
        v: number
        logId: string
        next: number
        state: Record<string, [string, never][]> & { revision: number }
      }
      // Another log's snapshot says nothing of this one.
      if (raw.v !== 1 || raw.logId !== log.logId) return
      const map = (name: string): Map<string, never> => new Map(raw.state[name])
      state = {
        revision: raw.state.revision,
        organisations: map('organisations'),
        apps: map('apps'),
        deployments: map('deployments'),
        keys: map('keys'),
        tokens: map('tokens'),
      }
      index()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        report('the registry snapshot could not be read; the log is read instead')
    }
  }

  const take = (offset: number, value: Buffer): void => {
    next = offset + 1
    try {
      const record = recordSchema.parse(JSON.parse(value.toString('utf8'))) as RegistryRecord
      state = applyRecord(state, record)
      index()
      for (const listener of listeners) listener()
    } catch (error) {
      // One bad record must not stop a service: the last good state goes on.
      report(`registry record ${offset} is skipped: ${error instanceof Error ? error.message : String(error)}`)
    }
    waiting = waiting.filter((waiter) => {
      if (waiter.offset < next) waiter.resolve()
      return waiter.offset >= next
    })
  }

  const [partition] = await log.partitions(topics.registry)
  const end = partition?.end ?? 0
  // The snapshot serves when the log cannot be read; the log, whole and small, is the truth.
  if (end === 0) await readSnapshot()
  const reachedEnd = new Promise<void>((resolve) =>
    end === 0 ? resolve() : waiting.push({ offset: end - 1, resolve }),
  )
  const follow = async (): Promise<void> => {
    for await (const record of log.tail(topics.registry, { from: 'start', signal: stopping.signal }))
      take(record.offset, record.value)
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

  const append = async (changes: readonly Change[], actor: string): Promise<number> => {
    const record: RegistryRecord = { v: 1, revision: state.revision + 1, at: now(), actor, changes: [...changes] }
    const { positions } = await log.append(topics.registry, [{ key: 'registry', value: JSON.stringify(record) }])
    const { offset } = positions[0]!
    if (next <= offset) await new Promise<void>((resolve) => waiting.push({ offset, resolve }))
    await writeSnapshot().catch((error: unknown) =>
      report(`the registry snapshot could not be written: ${String(error)}`),
    )
    if (state.revision < record.revision) throw new PipelineError('STALE_REVISION', 'Another process changed it first.')
    return record.revision
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
    },
  }
  return registry
}
