import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig, variableNames } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'

interface Service {
  image?: string
  build?: { dockerfile: string }
  command?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  networks?: string[]
  network_mode?: string
  ports?: string[]
  profiles?: string[]
  tmpfs?: string[]
  restart?: string
  user?: string
  cap_add?: string[]
  stop_grace_period?: string
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test?: string[]; start_period?: string; disable?: boolean }
  logging?: { options: Record<string, string> }
  deploy?: { resources: { limits: { cpus: string; memory: string } } }
  [other: string]: unknown
}
interface Compose {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean; ipam?: { config: { subnet: string }[] } }>
  volumes: Record<string, unknown>
}

// As in a clean clone: no .env.
const text = readFileSync(join(findRoot(), 'docker-compose.yml'), 'utf8').replace(/\$\{\w+:-([^}]*)\}/g, '$1')
const { services, networks, volumes } = parse(text, { merge: true }) as Compose
const entries = Object.entries(services)
const isOnce = ({ restart }: Service): boolean => restart === 'no'
const lasting = entries.filter(([, service]) => !isOnce(service))
const started = entries.filter(([, { command }]) => command?.[0] === 'start')
const mounts = ({ volumes: list = [] }: Service): { source: string; target: string }[] =>
  list.map((mount) => {
    const [source, target] = mount.split(':') as [string, string]
    return { source, target }
  })

describe.each(entries)('%s', (_name, service) => {
  test('may do no more than it needs', () => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    for (const name of ['privileged', 'devices', 'pid', 'ipc', 'userns_mode']) expect(service).not.toHaveProperty(name)
    expect(service.network_mode ?? 'none').toBe('none')
    expect(service.deploy!.resources.limits).toEqual({
      cpus: expect.stringMatching(/^[12]$/) as string,
      memory: expect.stringMatching(/^\d+[mg]$/) as string,
    })
    expect(service.logging!.options).toEqual({ 'max-size': '10m', 'max-file': '5' })
  })

  test('is of a fixed version, or built here', () => {
    if (service.build) expect(existsSync(join(findRoot(), service.build.dockerfile))).toBe(true)
    else expect(service.image).toMatch(/^[a-z/-]+:v?\d+\.\d+[\w.-]*$/)
  })

  test('mounts and joins only what there is', () => {
    for (const { source } of mounts(service))
      if (source.startsWith('./')) expect(existsSync(join(findRoot(), source)), source).toBe(true)
      else expect(Object.keys(volumes)).toContain(source)
    for (const network of service.networks ?? []) expect(Object.keys(networks)).toContain(network)
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      const other = services[needed]!
      if (condition === 'service_completed_successfully') expect(isOnce(other)).toBe(true)
      if (condition === 'service_healthy') expect(other.healthcheck?.test).toBeDefined()
    }
  })
})

test('a tmpfs over a directory of an image is of the user that writes there: else it is root’s', () => {
  const isRoot = ({ user, image }: Service): boolean => user === '0:0' || image!.startsWith('caddy:')
  const over = entries
    .filter(([, service]) => !isRoot(service))
    .flatMap(([name, { tmpfs = [], user = '1000:1000' }]) => tmpfs.map((mount) => ({ name, mount, user })))
    .filter(({ mount }) => mount !== '/tmp')
  expect(over.length).toBeGreaterThan(4)
  for (const { name, mount, user } of over) {
    const [uid, gid] = user.split(':')
    expect(mount, name).toContain(`:uid=${uid},gid=${gid}`)
  }
})

test('what a server logs goes where it has an end, and not into its memory', () => {
  const logs = entries.flatMap(([, { tmpfs = [] }]) => tmpfs.filter((mount) => mount.includes('log')))
  expect(logs).toEqual([expect.stringMatching(/^\/opt\/kafka\/logs:.*,size=64m$/)])
  expect(services.clickhouse!.volumes).toContain(
    './infra/docker/clickhouse-logger.xml:/etc/clickhouse-server/config.d/logger.xml:ro',
  )
})

test('what lasts is started again, and is asked whether it is well after a time to start', () => {
  expect(lasting.length).toBeGreaterThan(10)
  for (const [name, { restart, healthcheck }] of lasting) {
    expect(restart, name).toBe('unless-stopped')
    expect(healthcheck, name).toMatchObject({
      test: expect.anything() as unknown,
      start_period: expect.anything() as unknown,
    })
  }
})

test('the store is brought up to date by one that runs alone, before anything of ours that uses it', () => {
  const migrated = entries.filter(([, { depends_on: needed }]) => needed?.migrate).map(([name]) => name)
  expect(migrated).toEqual(['clickhouse-views', 'consumer', 'console', 'jobs'])
  for (const name of migrated)
    expect(services[name]!.depends_on!.migrate).toEqual({ condition: 'service_completed_successfully' })
  const { command, networks: joined, volumes: own, environment } = services.migrate!
  expect({ command, joined }).toEqual({ command: ['migrate'], joined: ['store'] })
  // It signs in as the one who may make tables and back them up.
  expect(own).toEqual(services.consumer!.volumes)
  expect(environment!.STORE_URL_FILE).toBe(services.consumer!.environment!.STORE_URL_FILE)
})

test('nothing is declared that nobody uses', () => {
  const used = entries.flatMap(([, service]) => mounts(service).map(({ source }) => source))
  for (const volume of Object.keys(volumes)) expect(used).toContain(volume)
  const joined = entries.flatMap(([, service]) => service.networks ?? [])
  for (const network of Object.keys(networks)) expect(joined).toContain(network)
})

test('only proxies are reached from outside, and all else from this machine or not at all', () => {
  const published = entries.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`))
  expect(published).toEqual([
    'proxy 127.0.0.1:8080:8080',
    'https 80:80',
    'https 443:443',
    'grafana 127.0.0.1:3000:3000',
    'prometheus 127.0.0.1:9090:9090',
    'standalone 127.0.0.1:8080:8080',
  ])
  expect(Object.keys(networks).filter((name) => networks[name]!.internal !== true)).toEqual(['edge'])
  for (const [name, { networks: joined = [], ports }] of entries)
    expect(joined.includes('edge'), name).toBe(ports !== undefined)
})

test('each reaches the servers that it needs, and no other', () => {
  const reach = Object.fromEntries(started.map(([name, { networks: joined }]) => [name, joined]))
  expect(reach).toEqual({
    'ingest-1': ['front', 'log', 'salts', 'scrape'],
    'ingest-2': ['front', 'log', 'salts', 'scrape'],
    consumer: ['log', 'store', 'scrape'],
    console: ['front', 'log', 'store', 'queue', 'scrape'],
    jobs: ['log', 'store', 'queue', 'scrape'],
    standalone: ['edge'],
  })
  expect(services.grafana!.networks).toEqual(['store', 'edge'])
  expect(
    [services.kafka, services.clickhouse, services['redis-jobs'], services['redis-salts']].map((one) => one!.networks),
  ).toEqual([['log'], ['store'], ['queue'], ['salts']])
})

describe('the ingests', () => {
  const ingests = started.filter(([, { command }]) => command![1] === 'ingest')

  test('keep spool and salts each on a volume of its own', () => {
    const data = ingests.map(([, service]) => mounts(service).find(({ target }) => target === '/data')!.source)
    expect(new Set(data).size).toBe(ingests.length)
  })

  test('are as many as each is told, and all behind the proxies', () => {
    const asked = ingests.map(([name]) => `${name}:8080`).join(' ')
    for (const [name, { environment }] of ingests)
      expect(environment!.INGEST_INSTANCES, name).toBe(String(ingests.length))
    for (const name of ['proxy', 'https']) expect(services[name]!.environment!.INGEST_UPSTREAMS).toBe(asked)
  })

  test('believe the proxies about the sender, and nobody else', () => {
    // Docker gives networks 172.17 to 172.31 and 192.168 by itself, one after the other.
    expect(networks.front!.ipam!.config[0]!.subnet).toMatch(/^172\.16\./)
    for (const [, { environment }] of ingests)
      expect(environment!.TRUSTED_PROXIES).toBe(networks.front!.ipam!.config[0]!.subnet)
    expect(entries.filter(([, { networks: joined }]) => joined?.includes('front')).map(([name]) => name)).toEqual([
      ...ingests.map(([name]) => name),
      'console',
      'proxy',
      'https',
    ])
  })
})

test('one Redis forgets no job, the other keeps no salt', () => {
  const { 'redis-jobs': jobs, 'redis-salts': salts } = services
  expect(jobs!.command).toEqual(
    expect.arrayContaining(['--appendonly yes', '--appendfsync always', '--maxmemory-policy noeviction']),
  )
  expect(mounts(jobs!).map(({ target }) => target)).toContain('/data')
  expect(salts!.command).toEqual(expect.arrayContaining(['--appendonly no', '--save ""']))
  expect(mounts(salts!).map(({ target }) => target)).toEqual(['/run/secrets'])
  expect(salts!.tmpfs).toContain('/data:uid=999,gid=999')
})

test('a service has longer to end than it takes, also while names are not answered', () => {
  for (const [name, { stop_grace_period: grace, dns_opt: options }] of started) {
    expect(options, name).toEqual(['timeout:2', 'attempts:1'])
    expect(Number.parseInt(grace!), name).toBeGreaterThan(10 + 2)
  }
})

test('what a single broker has acknowledged is on its disk: topics with one copy, and what consumers claim', () => {
  const brokers = entries.filter(([, { image }]) => image?.startsWith('apache/kafka'))
  expect(brokers).toHaveLength(1)
  expect(brokers[0]![1].environment).toMatchObject({ KAFKA_LOG_FLUSH_INTERVAL_MESSAGES: '1' })
  for (const [, { environment }] of started)
    if (environment!.EVENT_LOG_URL !== undefined) expect(environment!.KAFKA_REPLICAS).toBe('1')
})

test('Prometheus asks every service of ours', () => {
  const { scrape_configs: jobs } = parse(readFileSync(join(findRoot(), 'infra/prometheus/prometheus.yml'), 'utf8')) as {
    scrape_configs: {
      job_name: string
      static_configs?: { targets: string[] }[]
      dns_sd_configs?: { names: string[]; port: number }[]
    }[]
  }
  const asked = jobs.flatMap(({ job_name, static_configs = [], dns_sd_configs = [] }) =>
    [
      ...static_configs.flatMap(({ targets }) => targets),
      ...dns_sd_configs.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    ].map((target) => `${job_name} ${target}`),
  )
  const ours = started.filter(([, { profiles }]) => profiles === undefined)
  expect(asked.sort()).toEqual(ours.map(([name, { command }]) => `${command![1]} ${name}:8080`).sort())
  for (const [name, { networks: joined }] of ours)
    expect(
      joined!.some((network) => services.prometheus!.networks!.includes(network)),
      name,
    ).toBe(true)
})

describe('secrets', () => {
  let root: string
  const make = () => spawnSync('sh', [join(findRoot(), 'infra/docker/make-secrets.sh'), root], { encoding: 'utf8' })
  const files = (): string[] =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((path) => statSync(join(root, path)).isFile())
      .sort()
  const read = (path: string): string => readFileSync(join(root, path), 'utf8')
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'footfall-secrets-'))
    expect(make()).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test('are made once, for their owner alone, and made again only where they are gone', () => {
    const before = files().map((path) => [path, read(path)])
    expect(before.length).toBeGreaterThan(10)
    for (const [path] of before) expect(statSync(join(root, path!)).mode & 0o777, path).toBe(0o600)
    rmSync(join(root, 'writer/store_url'))
    writeFileSync(join(root, 'clickhouse/hashes'), '')
    expect(make().status).toBe(0)
    expect(files().map((path) => [path, read(path)])).toEqual(before)
    const passwords = files().filter((path) => path.endsWith('password'))
    expect(new Set(passwords.map(read)).size).toBe(passwords.length)
    for (const path of passwords) expect(read(path)).toMatch(/^[0-9a-f]{48}$/)
  })

  test('open what they are for: ClickHouse and Redis have what the services sign in with', () => {
    const hashes = Object.fromEntries(
      read('clickhouse/hashes')
        .trim()
        .split('\n')
        .map((line) => line.split('=')),
    ) as Record<string, string>
    const signIns = [
      ['FOOTFALL_WRITER_SHA256', new URL(read('writer/store_url')).password, 'writer/password'],
      ['FOOTFALL_CONSOLE_SHA256', new URL(read('console/store_url')).password, 'console/password'],
      ['FOOTFALL_BOARDS_SHA256', read('grafana/footfall_boards_password'), 'grafana/footfall_boards_password'],
    ] as const
    for (const [name, password, file] of signIns) {
      expect(password).toBe(read(file))
      expect(hashes[name]).toBe(createHash('sha256').update(password).digest('hex'))
    }
    for (const [server, url] of [
      ['redis-jobs', 'writer/job_queue_url'],
      ['redis-jobs', 'console/job_queue_url'],
      ['redis-salts', 'ingest/salt_redis_url'],
    ] as const)
      expect(read(`${server}/redis.conf`)).toBe(`requirepass ${new URL(read(url)).password}\n`)
  })

  test.each(started)(
    '%s has an environment that its own check takes, with secrets from files alone',
    (_name, service) => {
      const environment = service.environment!
      for (const [name, value] of Object.entries(environment)) {
        expect(variableNames).toContain(name)
        expect(value).not.toMatch(/:\/\/[^/]*@/)
      }
      const kept =
        mounts(service)
          .find(({ target }) => target === '/run/secrets')
          ?.source.replace('secrets-', '') ?? ''
      const config = readConfig(
        Object.fromEntries(
          Object.entries(environment).map(([name, value]) => [name, value.replace('/run/secrets', join(root, kept))]),
        ),
      )
      if (service.command![1] === undefined) return
      const hosts = [config.EVENT_LOG_URL, config.STORE_URL, config.JOB_QUEUE_URL, config.SALT_REDIS_URL]
        .filter(Boolean)
        .map((url) => new URL(url).hostname)
      expect(hosts[0]).toBe('kafka')
      for (const host of hosts) {
        expect(Object.keys(services)).toContain(host)
        // Both are on one network.
        expect(services[host]!.networks!.some((network) => service.networks!.includes(network))).toBe(true)
      }
    },
  )

  test('reach each service from a volume of its own, which the one that makes them fills', () => {
    const filled = mounts(services.secrets!).map(({ source, target }) => `${source} ${target}`)
    for (const [name, service] of entries)
      for (const { source, target } of mounts(service))
        if (target === '/run/secrets') {
          expect(filled, name).toContain(`${source} /secrets/${source.replace('secrets-', '')}`)
          expect(service.volumes, name).toContain(`${source}:/run/secrets:ro`)
        }
    expect(new Set(filled.map((line) => line.split('/').at(-1)))).toEqual(new Set(readdirSync(root)))
  })
})
