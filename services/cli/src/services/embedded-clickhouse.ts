import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { PipelineError } from '@footfall/contracts/errors'
import { superviseEmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { createLogger } from '@footfall/telemetry/logger'
import type { Service } from './frame.ts'

/** Embedded ClickHouse on PORT, for services that run alone while there is no ClickHouse server; on loopback only. */
export async function startEmbeddedClickHouse(config: Config): Promise<Service> {
  if (config.STORE_PASSWORD === null)
    throw new PipelineError(
      'INVALID_REQUEST',
      'STORE_PASSWORD: the other services have to know it; set the same for all.',
    )
  const logger = createLogger(config.LOG_LEVEL)
  const engine = await superviseEmbeddedClickHouse({
    directory: join(config.dataDirectory, 'store'),
    backupsDirectory: join(config.dataDirectory, 'backups'),
    port: config.PORT,
    password: config.STORE_PASSWORD,
    memoryBytes: config.STORE_MEMORY_MB * 1_000_000,
    onLog: (line) => logger.debug({ line }, 'embedded ClickHouse'),
    onProblem: (problem) => problem !== null && logger.error({ problem }, 'embedded ClickHouse is away'),
  })
  return {
    url: engine.url,
    ready: Promise.resolve(),
    failed: new Promise(() => undefined),
    close: () => engine.close(),
  }
}
