import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import * as z from 'zod'

/** One variable: how it is read, its default as text, and what `.env.example` says of it. */
interface Variable<Schema extends z.ZodType> {
  readonly schema: Schema
  readonly fallback: string
  readonly about: string
}

const variable = <Schema extends z.ZodType>(schema: Schema, fallback: string, about: string): Variable<Schema> => ({
  schema,
  fallback,
  about,
})

const wholeNumber = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(min).max(max))

const optionalNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d*$/, 'must be a whole number')
    .transform((text) => (text === '' ? null : Number(text)))
    .pipe(z.number().min(min).max(max).nullable())

const flag = z.enum(['true', 'false']).transform((text) => text === 'true')

const optionalText = z.string().transform((text) => (text === '' ? null : text))

/** Blocks of addresses, written as `10.0.0.0/8` or a single address. */
const cidrList = z.string().transform((text, context) => {
  const blocks = text.split(/[\s,]+/).filter(Boolean)
  for (const block of blocks) {
    const [address = '', bits] = block.split('/')
    const version = isIP(address)
    const most = version === 6 ? 128 : 32
    if (version === 0 || (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= most))) {
      context.addIssue({ code: 'custom', message: `"${block}" is not an address block such as 10.0.0.0/8` })
    }
  }
  return blocks
})

const webAddress = z
  .union([z.literal(''), z.url({ protocol: /^https?$/ })])
  .transform((text) => text.replace(/\/+$/, ''))

const urlOf = (...schemes: string[]) =>
  z
    .string()
    .refine(
      (text) => text === '' || schemes.some((scheme) => text.startsWith(`${scheme}:`)),
      `must start with ${schemes.map((scheme) => `${scheme}:`).join(' or ')}`,
    )

/** Every variable that Footfall reads; `.env.example` is held equal to this table by a test. */
export const variables = {
  HOST: variable(
    z.string().min(1),
    '127.0.0.1',
    'Address to listen on. Put a proxy with HTTPS before it, or use 0.0.0.0 in a container.',
  ),
  PORT: variable(wholeNumber(0, 65_535), '8080', 'Port to listen on; 0: any free one.'),
  DATA_DIR: variable(z.string().min(1), 'data', 'Directory of everything that is kept.'),
  PUBLIC_URL: variable(webAddress, '', 'Address that browsers use, in every snippet; default http://HOST:PORT.'),
  CANARY_URL: variable(
    webAddress,
    '',
    'Address that browsers send beacons to; once a minute one event goes that whole way and is looked up in the store.',
  ),
  TRUSTED_PROXIES: variable(
    cidrList,
    '',
    'Address blocks of proxies whose X-Forwarded-For and country header are believed, e.g. 10.0.0.0/8,::1.',
  ),
  ADMIN_TOKEN: variable(
    z
      .union([z.literal(''), z.string().min(16, 'must have at least 16 characters')])
      .transform((text) => (text === '' ? null : text)),
    '',
    'Token of the operator; default: made at the first start and kept in ADMIN_TOKEN_FILE.',
  ),
  ADMIN_TOKEN_FILE: variable(optionalText, '', 'File (0600) that holds the token; default DATA_DIR/admin-token.'),
  EVENT_LOG_URL: variable(
    urlOf('file', 'kafka'),
    '',
    'Event log: file:PATH or kafka://host:9092; default file:DATA_DIR/log.',
  ),
  STORE_URL: variable(
    urlOf('embedded', 'http', 'https'),
    '',
    'Store: embedded:PATH or http://user:password@host:8123/footfall; default embedded:DATA_DIR/store.',
  ),
  JOB_QUEUE_URL: variable(
    urlOf('file', 'redis', 'rediss'),
    '',
    'Job queue: file:PATH or redis://user:password@host:6379/0; default file:DATA_DIR/jobs.',
  ),
  SALT_REDIS_URL: variable(
    urlOf('redis', 'rediss'),
    '',
    'Redis without persistence that shares the salts of several ingests: redis://host:6379; never that of the job queue.',
  ),
  KAFKA_PARTITIONS: variable(
    wholeNumber(1, 10_000),
    '24',
    'Partitions of the topic of events, at its creation; another number later takes a new topic.',
  ),
  KAFKA_REPLICAS: variable(wholeNumber(1, 9), '3', 'Copies of each record, at the creation of a topic.'),
  KAFKA_RETENTION_HOURS: variable(
    wholeNumber(73, 100_000),
    '168',
    'Hours that Kafka keeps events, consumed or not: longer than any outage of the store.',
  ),
  KAFKA_SESSION_TIMEOUT_MS: variable(
    wholeNumber(1_000, 300_000),
    '30000',
    'Milliseconds without a sign of life after which a consumer is given up and its partitions go to others.',
  ),
  KAFKA_TLS: variable(flag, 'false', 'true: connections to Kafka are encrypted.'),
  KAFKA_CA_FILE: variable(
    optionalText,
    '',
    'Certificate (PEM) that the brokers are checked against; default: public ones.',
  ),
  KAFKA_SASL: variable(
    z.enum(['none', 'plain', 'scram-sha-256', 'scram-sha-512']),
    'none',
    'How to sign in to Kafka: none, plain, scram-sha-256 or scram-sha-512.',
  ),
  KAFKA_USER: variable(optionalText, '', 'Name to sign in to Kafka with.'),
  KAFKA_PASSWORD: variable(optionalText, '', 'Password to sign in to Kafka with.'),
  INGEST_INSTANCES: variable(
    wholeNumber(1, 1_000),
    '1',
    'How many ingests share the traffic: each lets its part of the rate limits through.',
  ),
  STOP_DELAY_MS: variable(
    wholeNumber(0, 8_000),
    '3000',
    'Milliseconds that an ingest of its own still takes beacons after it was told to stop, while /readyz says no: proxies that ask there meet no closed door.',
  ),
  IMPORT_SECRETS_FILE: variable(
    optionalText,
    '',
    'Secrets that make the ids of imported lines; default DATA_DIR/import-secrets.json. Console and jobs need the same.',
  ),
  STORE_PORT: variable(
    wholeNumber(0, 65_535),
    '0',
    'Loopback port of the embedded ClickHouse (user default, database footfall); 0: any free one.',
  ),
  STORE_PASSWORD: variable(optionalText, '', 'Password of the embedded ClickHouse; default: a new one at each start.'),
  STORE_MEMORY_MB: variable(
    wholeNumber(200, 1_000_000),
    '600',
    'MB of memory the embedded ClickHouse may use for queries.',
  ),
  FLUSH_INTERVAL_MS: variable(
    optionalNumber(10, 60_000),
    '',
    'Milliseconds the consumer waits for batches to fill; default 1000, with Kafka 2000: there each partition is an insert.',
  ),
  BATCH_MAX_RECORDS: variable(wholeNumber(1, 100_000), '10000', 'Records a batch at most.'),
  BATCH_MAX_BYTES: variable(wholeNumber(10_000, 64_000_000), '8000000', 'Bytes a batch at most.'),
  MAX_BODY_BYTES: variable(
    wholeNumber(1024, 10_000_000),
    '65536',
    'Bytes a request with a browser key at most, after decompression.',
  ),
  MAX_SERVER_BODY_BYTES: variable(
    wholeNumber(1024, 10_000_000),
    '524288',
    'Bytes a request with a server key at most, after decompression.',
  ),
  RATE_LIMIT_PER_KEY: variable(
    wholeNumber(1, 10_000_000),
    '2000',
    'Events a second with one key; ten seconds of it may come at once.',
  ),
  RATE_LIMIT_PER_ADDRESS: variable(
    wholeNumber(1, 10_000_000),
    '200',
    'Events a second from one address (IPv6: /64); ten seconds of it may come at once, so 500 citizens behind one address pass.',
  ),
  LOG_MAX_BYTES: variable(
    wholeNumber(1_000_000, 1e15),
    '8589934592',
    'Bytes of the embedded log at most; at 80 % senders are asked to wait.',
  ),
  LOG_RETENTION_HOURS: variable(
    wholeNumber(0, 100_000),
    '24',
    'Hours that consumed parts of the embedded log are kept.',
  ),
  RETENTION_MONTHS: variable(wholeNumber(1, 25), '13', 'Months that single events are kept; daily sums stay.'),
  GEO_DATABASE: variable(
    optionalText,
    '',
    'MaxMind-format file (.mmdb) for countries; default: proxy header, else the sender is left without a country.',
  ),
  COUNTRY_HEADER: variable(optionalText, 'cf-ipcountry', 'Header in which a trusted proxy names the country.'),
  LOG_LEVEL: variable(
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    'info',
    'How much the services log; never personal data.',
  ),
} as const satisfies Record<string, Variable<z.ZodType>>

export type VariableName = keyof typeof variables

/** Variables that carry a password: NAME_FILE names a file that holds the value instead. */
const secrets: readonly VariableName[] = [
  'STORE_URL',
  'JOB_QUEUE_URL',
  'SALT_REDIS_URL',
  'KAFKA_PASSWORD',
  'STORE_PASSWORD',
]

/** Every name that is read from the environment. */
export const variableNames: readonly string[] = [...Object.keys(variables), ...secrets.map((name) => `${name}_FILE`)]

type Values = { [Name in VariableName]: z.infer<(typeof variables)[Name]['schema']> }

export interface Config extends Readonly<Values> {
  /** Absolute. */
  readonly dataDirectory: string
  readonly adminTokenFile: string
  readonly eventLogUrl: string
  readonly storeUrl: string
  readonly jobQueueUrl: string
  readonly flushIntervalMs: number
}

/** All mistakes of the environment at once. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(
      `The environment has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}:\n${mistakes.map((line) => `  ${line}`).join('\n')}`,
    )
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/** What the files named by NAME_FILE hold, by NAME. What is wrong is noted without a word of what they hold. */
function readSecrets(environment: Environment, mistakes: string[]): Record<string, string> {
  const held: Record<string, string> = {}
  for (const name of secrets) {
    const file = environment[`${name}_FILE`]
    if (!file) continue
    if (environment[name]) {
      mistakes.push(`${name} and ${name}_FILE are both set: set one of them`)
      continue
    }
    try {
      // Editors and `echo` end a file with a line break.
      const value = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
      // As a variable it would be unset, and the service would open something else.
      if (value === '') mistakes.push(`${name}_FILE: ${file} is empty`)
      else held[name] = value
    } catch (error) {
      mistakes.push(`${name}_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
    }
  }
  return held
}

/**
 * Reads the environment once into one frozen, typed object. Unset and empty variables take their default; secrets may
 * come from files.
 * @throws ConfigError that lists every mistake.
 */
export function readConfig(environment: Environment): Config {
  const mistakes: string[] = []
  const held = readSecrets(environment, mistakes)
  const values: Record<string, unknown> = {}
  for (const [name, { schema, fallback }] of Object.entries(variables)) {
    const parsed = schema.safeParse(held[name] ?? (environment[name] || fallback))
    if (parsed.success) values[name] = parsed.data
    else mistakes.push(`${name}: ${parsed.error.issues[0]?.message ?? 'is not valid'} (see .env.example)`)
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  const read = values as Values
  const dataDirectory = resolve(read.DATA_DIR)
  const eventLogUrl = read.EVENT_LOG_URL || `file:${resolve(dataDirectory, 'log')}`
  return Object.freeze({
    ...read,
    dataDirectory,
    adminTokenFile:
      read.ADMIN_TOKEN_FILE === null ? resolve(dataDirectory, 'admin-token') : resolve(read.ADMIN_TOKEN_FILE),
    eventLogUrl,
    storeUrl: read.STORE_URL || `embedded:${resolve(dataDirectory, 'store')}`,
    jobQueueUrl: read.JOB_QUEUE_URL || `file:${resolve(dataDirectory, 'jobs')}`,
    flushIntervalMs: read.FLUSH_INTERVAL_MS ?? (eventLogUrl.startsWith('kafka:') ? 2_000 : 1_000),
  })
}

/** The text of `.env.example`. */
export function printExample(): string {
  return Object.entries(variables)
    .map(([name, { about, fallback }]) => {
      const file = secrets.includes(name as VariableName) ? `# Or a file that holds it.\n${name}_FILE=\n` : ''
      return `# ${about}\n${name}=${fallback}\n${file}`
    })
    .join('\n')
}
