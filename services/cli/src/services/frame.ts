import type { AddressInfo } from 'node:net'
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '@footfall/config/config'
import { isPipelineError } from '@footfall/contracts/errors'
import { waitUnless } from '@footfall/event-log/within'
import { httpOptions, refuseWhileClosing } from '@footfall/http/http-options'
import { createLogger, type Logger } from '@footfall/telemetry/logger'
import { createMetrics, type Metrics } from '@footfall/telemetry/metrics'
import fastify, { type FastifyInstance } from 'fastify'

/** A service that runs in a process of its own. */
export interface Service {
  readonly url: string
  /** Resolves once it can do its work; never when it failed before. */
  readonly ready: Promise<void>
  /** Resolves with the reason when the process has to end: whatever supervises it starts it again. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

/** What every service is started with. */
export interface Frame {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  /** Aborted once the service closes. */
  readonly signal: AbortSignal
  /** Closes what was opened, last first. */
  onClose(closer: () => Promise<unknown>): void
  /**
   * Goes on for so long after the service was told to stop, while `/readyz` says no: proxies that ask there have sent their
   * last request to it by then.
   */
  delayStop(ms: number): void
  /** Ends the process with a reason. */
  fail(error: Error): void
  /** Repeats what a server that is away refuses, until it works or the service closes. */
  persist<Result>(what: string, work: () => Promise<Result>): Promise<Result>
  /** Repeats work every second; what fails is tried again by the next. */
  everySecond(what: string, work: () => Promise<unknown>): void
  /**
   * Asks a server every few seconds whether it answers, as long as the service runs: `footfall_ready{part}` says so, and
   * the log when it went and when it came back. One question after the other, however late an answer is.
   * @param check rejects when the server is away; it has to end by itself some time.
   * @param options.isNeeded the service is not ready without it.
   */
  watch(part: string, check: () => Promise<unknown>, options: { isNeeded: boolean }): void
  /** Why the service cannot do its work now; null when it can. Told by `/readyz`. */
  readonly notReady: () => string | null
}

const firstRetryMs = 250
const lastRetryMs = 5_000
const watchEveryMs = 5_000
/** A server that takes longer is away, until its answer comes. */
const answerWithinMs = 4_000

export const newApp = (): FastifyInstance => {
  const app: FastifyInstance = fastify({
    ...httpOptions(),
    logger: false,
    bodyLimit: 1024 * 1024,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: true,
  })
  refuseWhileClosing(app)
  return app
}

/** The address that browsers use. */
export function publicUrlOf(config: Config, app: FastifyInstance): string {
  if (config.PUBLIC_URL) return config.PUBLIC_URL
  const { port } = app.server.address() as AddressInfo
  const host = config.HOST === '0.0.0.0' || config.HOST === '::' ? 'localhost' : config.HOST
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/**
 * Starts a service: `prepare` adds its routes, before it listens; what it returns runs behind them, and the service is
 * ready once that has come to its end. So a service answers `/healthz` while the servers it needs are away.
 * @param options.wait between two looks at a server: resolves after a time, or at once when the signal aborts.
 */
export async function runService(
  config: Config,
  prepare: (frame: Frame, app: FastifyInstance) => Promise<(() => Promise<void>) | null>,
  options: { logger?: Logger; wait?: (ms: number, signal: AbortSignal) => Promise<void> } = {},
): Promise<Service> {
  const { logger = createLogger(config.LOG_LEVEL), wait = waitUnless } = options
  const metrics = createMetrics()
  const closing = new AbortController()
  const closers: (() => Promise<unknown>)[] = []
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<Error>((resolve) => (fail = resolve))
  let waitsFor: string | null = 'The service is starting.'
  let stopDelayMs = 0
  /** Why a part is away; null while it answers. */
  const parts = new Map<string, { readonly problem: string | null; readonly isNeeded: boolean }>()
  const notReady = (): string | null => {
    if (closing.signal.aborted) return 'stopping'
    const away = [...parts].flatMap(([part, { problem, isNeeded }]) =>
      isNeeded && problem !== null ? [`${part}: ${problem}`] : [],
    )
    return waitsFor ?? (away.length > 0 ? away.join('; ') : null)
  }
  const tellReady = (): void => metrics.ready.set({ part: 'service' }, notReady() === null ? 1 : 0)
  tellReady()
  await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 })

  const frame: Frame = {
    config,
    logger,
    metrics,
    signal: closing.signal,
    onClose: (closer) => void closers.push(closer),
    delayStop: (ms) => void (stopDelayMs = ms),
    fail(error) {
      logger.fatal({ err: error.message, code: isPipelineError(error) ? error.code : undefined }, 'the service ends')
      fail(error)
    },
    async persist(what, work) {
      for (let delay = firstRetryMs; ; delay = Math.min(lastRetryMs, delay * 2)) {
        try {
          return await work()
        } catch (error) {
          if (!isPipelineError(error) || !error.retryable || closing.signal.aborted) throw error
          waitsFor = `${what}: ${error.message}`
          logger.warn({ code: error.code, err: error.message, retryMs: delay }, `${what} waits`)
          await sleep(delay, undefined, { signal: closing.signal })
        }
      }
    },
    everySecond(what, work) {
      let isRunning = false
      const timer = setInterval(() => {
        if (isRunning) return
        isRunning = true
        work()
          .catch((error: unknown) => logger.debug({ err: error }, what))
          .finally(() => (isRunning = false))
      }, 1_000)
      closers.push(async () => clearInterval(timer))
    },
    watch(part, check, { isNeeded }) {
      const note = (problem: string | null): void => {
        if (closing.signal.aborted) return
        const before = parts.get(part)?.problem ?? null
        if (problem !== null && before === null) logger.error({ part, problem }, 'a server is away')
        if (problem === null && before !== null) logger.info({ part }, 'a server is back')
        parts.set(part, { problem, isNeeded })
        metrics.ready.set({ part }, problem === null ? 1 : 0)
        tellReady()
      }
      const look = async (): Promise<void> => {
        const answered = new AbortController()
        void wait(answerWithinMs, AbortSignal.any([closing.signal, answered.signal])).then(() => {
          if (!answered.signal.aborted) note(`no answer within ${answerWithinMs / 1000} s`)
        })
        await check().then(
          () => note(null),
          (error: unknown) => note(error instanceof Error ? error.message : String(error)),
        )
        answered.abort()
      }
      // Nobody waits for it: an answer that never comes holds up no stop.
      void (async () => {
        while (!closing.signal.aborted) {
          await look()
          await wait(watchEveryMs, closing.signal)
        }
      })()
    },
    notReady,
  }
  const close = async (): Promise<void> => {
    closing.abort()
    tellReady()
    if (stopDelayMs > 0) await wait(stopDelayMs, new AbortController().signal)
    for (const closer of closers.splice(0).reverse())
      await closer().catch((error: unknown) => logger.error({ err: error }, 'closing'))
  }
  let start: () => void = () => undefined
  const ready = new Promise<void>((resolve) => (start = resolve))
  const isReady = (): void => {
    waitsFor = null
    tellReady()
    start()
  }

  try {
    const app = newApp()
    const run = await prepare(frame, app)
    await app.listen({ host: config.HOST, port: config.PORT })
    closers.push(() => app.close())
    if (run === null) isReady()
    else
      run().then(isReady, (error: Error) => {
        if (!closing.signal.aborted) frame.fail(error)
      })
    const { port } = app.server.address() as AddressInfo
    return {
      url: `http://${config.HOST.includes(':') ? `[${config.HOST}]` : config.HOST}:${port}`,
      ready,
      failed,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
