import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { EmbeddedLogOptions } from './embedded.ts'
import type { EventLog } from './event-log.ts'
import type { KafkaExtras, KafkaLogOptions } from './kafka.ts'

/** The directory that a `file:` URL names: `file:data/log` is relative to the working directory. */
export function directoryOf(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length)
}

/** What the environment says of a log on Kafka. */
export interface KafkaConfig {
  readonly KAFKA_REPLICAS: number
  readonly KAFKA_TLS: boolean
  readonly KAFKA_CA_FILE: string | null
  readonly KAFKA_SASL: 'none' | 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly KAFKA_USER: string | null
  readonly KAFKA_PASSWORD: string | null
}

/**
 * Reads `kafka://host:port,host:port/PREFIX`; PREFIX stands before the names of topics and groups, default `footfall.`
 * @throws RangeError for what is none.
 */
export function readKafkaUrl(url: string): { brokers: string[]; prefix?: string } {
  const [, hosts = '', prefix] = /^kafka:\/\/([^/?#]+)(?:\/([A-Za-z0-9._-]*))?$/.exec(url) ?? []
  const brokers = hosts.split(',').filter(Boolean)
  const isBroker = (broker: string): boolean => /^(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(broker)
  if (brokers.length === 0 || !brokers.every(isBroker))
    // It may carry a password: it is not repeated.
    throw new RangeError(
      'EVENT_LOG_URL must be kafka://host:port,host:port; name and password stand in KAFKA_USER and KAFKA_PASSWORD.',
    )
  return { brokers, ...(prefix ? { prefix } : {}) }
}

/** The options of a log on Kafka that URL and environment name. */
export function kafkaOptions(
  url: string,
  config: KafkaConfig,
): Pick<KafkaLogOptions, 'brokers' | 'prefix' | 'tls' | 'sasl' | 'replicas'> {
  const { KAFKA_SASL: mechanism, KAFKA_USER: username, KAFKA_PASSWORD: password } = config
  if (mechanism !== 'none' && (username === null || password === null))
    throw new RangeError('KAFKA_SASL needs KAFKA_USER and KAFKA_PASSWORD.')
  const ca = config.KAFKA_CA_FILE === null ? {} : { ca: readFileSync(config.KAFKA_CA_FILE, 'utf8') }
  return {
    ...readKafkaUrl(url),
    tls: config.KAFKA_TLS ? ca : null,
    sasl: mechanism === 'none' ? null : { mechanism, username: username!, password: password! },
    replicas: config.KAFKA_REPLICAS,
  }
}

/** Opens a log on Kafka as URL and environment say. @throws RangeError, LOG_UNAVAILABLE */
export async function openSharedEventLog(
  url: string,
  options: KafkaConfig & Omit<KafkaLogOptions, 'brokers'>,
): Promise<EventLog & KafkaExtras> {
  const read = kafkaOptions(url, options)
  const { openKafkaEventLog } = await import('./kafka.ts')
  return openKafkaEventLog({ ...options, ...read })
}

/**
 * Opens the event log that a URL names; only its adapter is loaded.
 * @param url `file:PATH`, the embedded log, or `kafka://host:port,…`. @throws RangeError for a scheme without an adapter.
 */
export async function openEventLog(
  url: string,
  options: {
    readonly file?: Omit<EmbeddedLogOptions, 'directory'>
    readonly kafka?: KafkaConfig & Omit<KafkaLogOptions, 'brokers'>
  } = {},
): Promise<EventLog> {
  if (url.startsWith('file:')) {
    const { openEmbeddedEventLog } = await import('./embedded.ts')
    return openEmbeddedEventLog({ ...options.file, directory: directoryOf(url) })
  }
  if (url.startsWith('kafka:') && options.kafka) return openSharedEventLog(url, options.kafka)
  // The URL may carry a password: name its scheme only.
  throw new RangeError(`No event log for "${/^[a-z+]*/i.exec(url)?.[0]}:": EVENT_LOG_URL is file:PATH or kafka://HOST.`)
}
