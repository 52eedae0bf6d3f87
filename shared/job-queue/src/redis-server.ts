import { PipelineError } from '@footfall/contracts/errors'

export interface RedisAddress {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
  readonly db: number
  readonly tls?: { servername: string }
}

/** Reads `redis://user:password@host:6379/0`. @throws INVALID_REQUEST that does not repeat the URL: it holds a password. */
export function readRedisUrl(url: string): RedisAddress {
  const refuse = (detail: string): PipelineError =>
    new PipelineError('INVALID_REQUEST', `JOB_QUEUE_URL has the form redis://user:password@host:6379/0; ${detail}`)
  if (!URL.canParse(url)) throw refuse('this one cannot be read. Write special characters of a password as %XX.')
  const { protocol, hostname, port, username, password, pathname } = new URL(url)
  if (hostname === '') throw refuse('the host is missing.')
  const db = pathname.replace(/^\//, '')
  if (!/^\d{0,5}$/.test(db)) throw refuse('what follows the host is the number of a database.')
  const host = hostname.replace(/^\[|\]$/g, '')
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text)
    } catch {
      throw refuse('user or password hold a % that is not part of %XX.')
    }
  }
  return {
    host,
    port: Number(port || 6379),
    db: Number(db),
    ...(username && { username: decode(username) }),
    ...(password && { password: decode(password) }),
    ...(protocol === 'rediss:' && { tls: { servername: host } }),
  }
}

/** The server as it may be printed. */
export const nameRedis = ({ host, port, db }: RedisAddress): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}/${db}`

/**
 * Refuses a server that may forget jobs. Read from INFO, which managed servers answer where they forbid CONFIG.
 * @throws JOB_QUEUE_UNAVAILABLE, not retryable: says what to set.
 */
export function checkRedis(info: string, server: string): void {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  const version = field('redis_version') ?? 'unknown'
  const policy = field('maxmemory_policy') ?? 'unknown'
  const isKept = field('aof_enabled') === '1'
  const faults = [
    ...(Number.parseInt(version) >= 7 ? [] : [`Redis 7 or newer is needed (this is ${version})`]),
    ...(policy === 'noeviction' ? [] : [`set maxmemory-policy to noeviction (it is ${policy})`]),
    ...(isKept ? [] : ['set appendonly to yes (it is off: jobs would be gone after a restart)']),
  ]
  if (faults.length === 0) return
  throw new PipelineError(
    'JOB_QUEUE_UNAVAILABLE',
    `The Redis at ${server} may forget jobs: ${faults.join(' and ')}, in its redis.conf or in the settings of the ` +
      'service, then start again. Use a Redis of its own for jobs, not one that is a cache.',
    { retryable: false },
  )
}
