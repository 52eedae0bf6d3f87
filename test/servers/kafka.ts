import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import kafkajs from 'kafkajs'
import { freePort } from './free-port.ts'
import { kafkaAnswers, startLossyProxy, type LossyProxy } from './lossy-proxy.ts'

/** Real brokers on loopback: KRaft, each one broker and controller, as Apache ships them. */
export interface KafkaServers {
  /** kafka://host:port,host:port,… of all. */
  readonly url: string
  readonly brokers: readonly string[]
  /** Resolves once every broker that runs is in the cluster. */
  ready(): Promise<void>
  /** kill -9. */
  kill(broker: number): Promise<void>
  /** Starts a broker again on what it had written. */
  start(broker: number): Promise<void>
  signal(broker: number, signal: NodeJS.Signals): void
  /** Each broker's proxy, where there is one. */
  readonly proxies: readonly LossyProxy[]
  /** Resolves when every partition has all its copies again. */
  inSync(): Promise<void>
  stop(): Promise<void>
}

/** Where the jars of the pinned version lie, fetched from Maven Central once a machine. */
function fetchJars(): string {
  const pom = join(findRoot(), 'test/servers/kafka/pom.xml')
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 16)
  const jars = join(findRoot(), 'node_modules/.cache/footfall-kafka', version)
  if (existsSync(jars)) return jars
  mkdirSync(join(jars, '..'), { recursive: true })
  const unfinished = mkdtempSync(`${jars}-`)
  try {
    execFileSync('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    renameSync(unfinished, jars)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    // Somebody else was faster.
    if (existsSync(jars)) return jars
    const { stdout } = error as { stdout?: Buffer }
    throw new Error(
      `Apache Kafka could not be fetched from Maven Central. It takes Java 17 and Maven: apt-get install openjdk-17-jre-headless maven. ${stdout?.toString('utf8').slice(0, 500) ?? ''}`,
      { cause: error },
    )
  }
  return jars
}

const clusterId = 'Zm9vdGZhbGwtdGVzdHMtMQ'

/**
 * Starts brokers in a temporary directory.
 * @param options.losing clients reach every broker through a proxy that can lose answers to these kinds of request.
 * @param options.brokers default 3, with a replication factor of 3 and `min.insync.replicas` 2.
 */
export async function startKafka(
  options: { brokers?: number; losing?: readonly number[] } = {},
): Promise<KafkaServers> {
  const count = options.brokers ?? 3
  const jars = fetchJars()
  const directory = mkdtempSync(join(tmpdir(), 'footfall-kafka-'))
  const ports = await Promise.all(Array.from({ length: 3 * count }, freePort))
  const ids = Array.from({ length: count }, (_, index) => index + 1)
  const clientPort = (id: number): number => ports[id - 1]!
  const controllerPort = (id: number): number => ports[count + id - 1]!
  const brokerPort = (id: number): number => ports[2 * count + id - 1]!
  const proxies = options.losing
    ? await Promise.all(ids.map((id) => startLossyProxy(clientPort(id), kafkaAnswers(options.losing!))))
    : []
  const advertisedPort = (id: number): number => proxies[id - 1]?.port ?? clientPort(id)
  const brokers = ids.map((id) => `127.0.0.1:${advertisedPort(id)}`)
  const children = new Map<number, ChildProcess>()

  writeFileSync(
    join(directory, 'log4j2.properties'),
    'status=error\nrootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%d %p %c{1} %m%n\n',
  )
  for (const id of ids) {
    const properties = {
      'process.roles': 'broker,controller',
      'node.id': id,
      'controller.quorum.voters': ids.map((voter) => `${voter}@127.0.0.1:${controllerPort(voter)}`).join(','),
      listeners: `PLAINTEXT://127.0.0.1:${clientPort(id)},BROKER://127.0.0.1:${brokerPort(id)},CONTROLLER://127.0.0.1:${controllerPort(id)}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort(id)},BROKER://127.0.0.1:${brokerPort(id)}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'BROKER',
      'log.dirs': join(directory, `broker-${id}`),
      'auto.create.topics.enable': false,
      'default.replication.factor': Math.min(3, count),
      'min.insync.replicas': count >= 3 ? 2 : 1,
      'offsets.topic.replication.factor': Math.min(3, count),
      'offsets.topic.num.partitions': 6,
      'transaction.state.log.replication.factor': Math.min(3, count),
      'transaction.state.log.min.isr': count >= 3 ? 2 : 1,
      'share.coordinator.state.topic.replication.factor': Math.min(3, count),
      'share.coordinator.state.topic.min.isr': count >= 3 ? 2 : 1,
      'group.initial.rebalance.delay.ms': 0,
      // So that a test need not wait the usual half minute for a consumer to be given up.
      'group.min.session.timeout.ms': 1000,
      'num.network.threads': 2,
      'num.io.threads': 4,
      'log.cleaner.dedupe.buffer.size': 4_194_304,
    }
    writeFileSync(
      join(directory, `server-${id}.properties`),
      Object.entries(properties)
        .map(([name, value]) => `${name}=${String(value)}\n`)
        .join(''),
    )
  }
  const java = (id: number, main: string, args: readonly string[], heapMb: number): string[] => [
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Dlog4j2.configurationFile=${join(directory, 'log4j2.properties')}`,
    '-cp',
    join(jars, '*'),
    main,
    ...args,
    join(directory, `server-${id}.properties`),
  ]
  for (const id of ids)
    execFileSync('java', java(id, 'kafka.tools.StorageTool', ['format', '-t', clusterId, '-c'], 128), {
      stdio: ['ignore', 'ignore', 'pipe'],
    })

  /** A broker that ended by itself: nobody waits for it in vain. */
  let fault: Error | null = null
  const run = (id: number): void => {
    const child = spawn('java', java(id, 'kafka.Kafka', [], 320), { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const note = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-4_000)
    }
    child.stdout.on('data', note)
    child.stderr.on('data', note)
    child.once('exit', (code, signal) => {
      children.delete(id)
      if (signal === 'SIGKILL' || code === 0) return
      fault = new Error(`broker ${id} ended with ${code}: ${output}`)
      process.stderr.write(`${fault.message}\n`)
    })
    children.set(id, child)
  }
  /** How many brokers a broker itself knows; what another says of it may be old. */
  const knownTo = async (id: number): Promise<number> => {
    const kafka = new kafkajs.Kafka({
      brokers: [`127.0.0.1:${clientPort(id)}`],
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 0 },
    })
    const admin = kafka.admin()
    try {
      await admin.connect()
      return (await admin.describeCluster()).brokers.length
    } catch {
      // Not yet.
      return 0
    } finally {
      await admin.disconnect()
    }
  }
  const ready = async (): Promise<void> => {
    for (;;) {
      if (fault) throw fault
      if (children.size === 0) throw new Error('No broker runs.')
      const known = await Promise.all([...children.keys()].map(knownTo))
      if (known.every((count) => count >= children.size)) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const inSync = async (): Promise<void> => {
    const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    try {
      for (;;) {
        if (fault) throw fault
        const { topics } = await admin.fetchTopicMetadata()
        const isWhole = topics.every(({ partitions }) =>
          partitions.every(({ isr, replicas }) => isr.length === replicas.length),
        )
        if (isWhole) return
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    } finally {
      await admin.disconnect()
    }
  }
  const ended = (child: ChildProcess): Promise<void> =>
    new Promise((resolve) =>
      child.exitCode === null && child.signalCode === null ? child.once('exit', () => resolve()) : resolve(),
    )
  // Not left behind when the test run is interrupted.
  const endAll = (): void => {
    for (const child of children.values()) child.kill('SIGKILL')
  }
  process.once('exit', endAll)

  for (const id of ids) run(id)
  await ready()
  return {
    url: `kafka://${brokers.join(',')}`,
    brokers,
    proxies,
    ready,
    inSync,
    async kill(id) {
      const child = children.get(id)
      if (!child) return
      child.kill('SIGKILL')
      await ended(child)
    },
    async start(id) {
      run(id)
      await ready()
    },
    signal(id, signal) {
      children.get(id)?.kill(signal)
    },
    async stop() {
      process.off('exit', endAll)
      const all = [...children.values()]
      endAll()
      await Promise.all(all.map(ended))
      await Promise.all(proxies.map((proxy) => proxy.close()))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
