import { toPipelineError } from '@footfall/contracts/foreign-error'
import { topics } from '@footfall/contracts/event'
import type { Deployment } from '@footfall/contracts/registry'
import type { EventLog } from '@footfall/event-log'
import { createLocalClock } from '@footfall/enrichment/local-time'
import type { Logger } from '@footfall/telemetry/logger'
import type { Metrics } from '@footfall/telemetry/metrics'
import type { FastifyInstance } from 'fastify'
import { createAgentClassifier } from '@footfall/enrichment/agent-classes'
import { createPageCleaner } from '@footfall/enrichment/url-hygiene'
import { createAddressReader } from '@footfall/http/client-address'
import { healthRoutes } from '@footfall/http/health'
import { createCountryFinder } from './countries.ts'
import type { IngestParts, KeyOwner } from './delivery.ts'
import { createRateLimiter } from './rate-limiter.ts'
import { createRefusals } from './refusals.ts'
import { eventRoute } from './routes/events.ts'
import { pixelRoute } from './routes/pixel.ts'
import { privacyRoute } from './routes/privacy.ts'
import { sdkRoute, type ServedSdk } from './routes/sdk.ts'
import { limitRefused } from './routes/limit-refused.ts'
import { readSaltedDeployments } from './salted-deployments.ts'
import { openSalts } from './salts.ts'
import type { SharedSalts } from './shared-salts.ts'
import { createSenderShare, type SenderShare } from './sender-share.ts'

/** Records of at most a few hundred bytes each: far below what one append may hold. */
const refusalsPerAppend = 1_000

/** What ingest sees of the registry. */
export interface IngestRegistry {
  lookupKey(key: string): KeyOwner | null
  /** Deployments that are not retired. */
  deployments(): readonly {
    deployment: Deployment
    timeZoneAt: KeyOwner['timeZoneAt']
    registeredAt: number
    operator: string
  }[]
  onChange(listener: () => void): void
}

export interface IngestOptions {
  readonly log: EventLog
  readonly registry: IngestRegistry
  readonly metrics: Metrics
  readonly logger: Logger
  readonly sdk: ServedSdk
  readonly saltsFile: string
  /** Where several ingests share their salts; else each makes its own. */
  readonly sharedSalts?: SharedSalts | undefined
  readonly config: {
    readonly TRUSTED_PROXIES: readonly string[]
    readonly RATE_LIMIT_PER_KEY: number
    readonly RATE_LIMIT_PER_ADDRESS: number
    readonly MAX_BODY_BYTES: number
    readonly MAX_SERVER_BODY_BYTES: number
    readonly RETENTION_MONTHS: number
    readonly GEO_DATABASE: string | null
    readonly COUNTRY_HEADER: string | null
  }
  /** Whether a part of the process is unable to take events; null when all is well. */
  readonly notReady: () => string | null
  readonly now?: () => number
}

export interface Ingest {
  /** Adds the routes to an app; hooks and parsers stay within. */
  register(app: FastifyInstance): Promise<void>
  /** Turns the salts; called every second by the owner. */
  tick(): Promise<void>
  /** Hands what was refused to the log; called every second by the owner, and once at close. A log that is away holds up nothing else. */
  handOver(): Promise<void>
  readonly senders: SenderShare
}

/** Ingest from its parts: routes over the pipeline, salts, limits and refusal samples. */
export function createIngest(options: IngestOptions): Ingest {
  const { log, registry, metrics, logger, config } = options
  const now = options.now ?? Date.now
  const localTime = createLocalClock()
  const salts = openSalts(options.saltsFile, options.sharedSalts?.offer ?? null)
  const senders = createSenderShare()
  const refusals = createRefusals({
    now,
    onCount: (reason, events) => metrics.refused.inc({ reason }, events),
  })
  const saltedDeployments = readSaltedDeployments(registry)
  const turnSalts = (): void => {
    const at = now()
    salts.turn(saltedDeployments(at), at)
  }
  const tryToTurnSalts = (): void => {
    try {
      turnSalts()
    } catch (error) {
      // Events go without a visitor until a tick succeeds; better so than not at all.
      logger.error({ err: error }, 'salts could not be written')
    }
  }
  tryToTurnSalts()
  registry.onChange(tryToTurnSalts)

  const parts: IngestParts = {
    log,
    lookupKey: (key) => registry.lookupKey(key),
    salts,
    limiter: createRateLimiter({ perKey: config.RATE_LIMIT_PER_KEY, perAddress: config.RATE_LIMIT_PER_ADDRESS, now }),
    refusals,
    classify: createAgentClassifier(),
    cleanPage: createPageCleaner(),
    localTime,
    country: createCountryFinder({ header: config.COUNTRY_HEADER, database: config.GEO_DATABASE }),
    maxBodyBytes: config.MAX_BODY_BYTES,
    now,
  }

  const register = async (app: FastifyInstance): Promise<void> => {
    await app.register(async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser(
        '*',
        { parseAs: 'buffer', bodyLimit: config.MAX_SERVER_BODY_BYTES },
        (_request, body, done) => done(null, body),
      )
      scope.setErrorHandler(async (error: Error & { statusCode?: number; code?: string }, request, reply) => {
        const known = toPipelineError(error)
        if (known.code === 'INTERNAL') logger.error({ err: error }, 'ingest failed')
        else refusals.count('', known.code === 'BODY_TOO_LARGE' ? 'body_too_large' : 'malformed', 1, '')
        if (request.headers.origin !== undefined)
          void reply.header('access-control-allow-origin', request.headers.origin).header('vary', 'Origin')
        return reply.code(known.status).send(known.toBody())
      })
      const route = {
        parts,
        addressOf: createAddressReader(config.TRUSTED_PROXIES),
        maxBytes: config.MAX_SERVER_BODY_BYTES,
        onOutcome: (outcome: { accepted: number }, delivery: { receivedAt: number; address: string }) => {
          senders.note(delivery.address)
          metrics.received.inc(outcome.accepted)
          metrics.acceptSeconds.observe(Math.max(0, now() - delivery.receivedAt) / 1000)
        },
      }
      await scope.register(async (beacons) => {
        limitRefused(beacons, route)
        eventRoute(beacons, route)
        pixelRoute(beacons, route)
      })
      sdkRoute(scope, options.sdk)
      privacyRoute(scope, {
        find: (id) => registry.deployments().find(({ deployment }) => deployment.id === id) ?? null,
        retentionMonths: config.RETENTION_MONTHS,
      })
      healthRoutes(scope, options)
    })
  }

  return {
    senders,
    register,
    async tick() {
      tryToTurnSalts()
      if (options.sharedSalts) {
        await options.sharedSalts.exchange(salts, saltedDeployments(now()))
        tryToTurnSalts()
      }
    },
    async handOver() {
      const counted = refusals.drain()
      while (counted.length > 0) {
        const records = counted.slice(0, refusalsPerAppend)
        try {
          await log.append(
            topics.refusals,
            records.map((record) => ({ key: record.deployment, value: JSON.stringify(record) })),
          )
        } catch (error) {
          // A log that is full takes them later. What an append that failed had written already counts twice.
          logger.warn({ err: error, records: counted.length }, 'refusals wait for the log')
          refusals.restore(counted)
          return
        }
        counted.splice(0, records.length)
      }
    },
  }
}
