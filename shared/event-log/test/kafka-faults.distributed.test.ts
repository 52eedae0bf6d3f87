import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join as joinPath } from 'node:path'
import net, { type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { findRoot } from '@footfall/config/root'
import { build } from 'esbuild'
import kafkajs, { type ISocketFactory } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startKafka, type KafkaServers } from '../../../test/servers/kafka.ts'
import { endsOf, type EventLog } from '../src/event-log.ts'
import { openKafkaEventLog, type KafkaLogOptions } from '../src/kafka.ts'
import { createBatchingProducer } from '../src/kafka-producer.ts'
import { join, recordsOf, take, textsOf } from './contract.ts'

let servers: KafkaServers
let script: string
let prefix: string
let worlds = 0
const logs: EventLog[] = []
const children: ChildProcess[] = []

beforeAll(async () => {
  servers = await startKafka()
  script = joinPath(findRoot(), 'node_modules/.cache/footfall-tests/kafka-member.mjs')
  await build({
    entryPoints: [joinPath(import.meta.dirname, 'kafka-member.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['kafkajs', 'zod', 'ajv'],
    logLevel: 'error',
  })
}, 120_000)
afterAll(() => servers.stop())
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await Promise.all(logs.splice(0).map((log) => log.close()))
})

async function openLog(options: Partial<KafkaLogOptions> = {}): Promise<EventLog> {
  const log = await openKafkaEventLog({
    brokers: servers.brokers,
    prefix,
    partitions: { one: 1, many: 4 },
    sessionTimeoutMs: 3_000,
    ...options,
  })
  logs.push(log)
  return log
}
const newWorld = (): void => void (prefix = `faults-${(worlds += 1)}.`)

/** A member in a process of its own. `hear` resolves with the next line that begins so. */
function startMember(topic: string, group: string) {
  const child = spawn(process.execPath, [script, servers.brokers.join(','), prefix, topic, group], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => lines.push(line))
  const hear = async (start: string): Promise<string> => {
    for (;;) {
      const found = lines.findIndex((line) => line.startsWith(start))
      if (found >= 0) return lines.splice(found, 1)[0]!
      await once(reader, 'line')
    }
  }
  return { child, hear, tell: (line: string) => child.stdin.write(`${line}\n`) }
}

/** Names of requests, as they travel. */
const requests = { fetch: 1, commit: 8, sync: 14, versions: 18 }

/** Sockets of one log whose requests a test sees before they leave: what `pass` refuses never does. */
function tappedSockets() {
  const tap = { pass: (_request: number, _socket: Socket): boolean => true }
  const factory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = net.connect({ host, port }, onConnect)
    const write = socket.write.bind(socket)
    return Object.assign(socket, {
      write: (request: Buffer) => (tap.pass(request.readInt16BE(4), socket) ? write(request) : true),
    })
  }
  return { tap, factory }
}
/** Sockets, and which of them are open. */
function countedSockets(over: ISocketFactory = ({ host, port, onConnect }) => net.connect({ host, port }, onConnect)) {
  const open = new Set<Socket>()
  const factory: ISocketFactory = (to) => {
    const socket = over(to)
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    return socket
  }
  const closedTo = async (count: number): Promise<void> => {
    while (open.size > count) await new Promise((resolve) => setImmediate(resolve))
  }
  return { open, factory, closedTo }
}
const cut = (socket: Socket): void => void socket.destroy(new Error('The connection was cut.'))

/** Lets a group's new assignment get lost on its way, once. */
function loseNextAssignment(tap: ReturnType<typeof tappedSockets>['tap']): Promise<void> {
  return new Promise((resolve) => {
    tap.pass = (request, socket) => {
      if (request !== requests.sync) return true
      tap.pass = () => true
      socket.removeAllListeners('data')
      socket.once('data', () => {
        cut(socket)
        resolve()
      })
      return true
    }
  })
}

/** A member that joins a group that has one already, once it has a share; resolves with it. */
async function joinBeside(log: EventLog, topic: string, group: string) {
  const shares: number[] = []
  let begin: () => void
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const consumer = await log.consume(topic, group, {
    onAssigned: (partition) => {
      shares.push(partition)
      begin()
    },
    onRevoked: () => undefined,
  })
  await begun
  return { consumer, shares }
}

/** Repeats what the group refuses between two generations. */
async function insist<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!['LOG_UNAVAILABLE', 'FENCED'].includes((error as { code?: string }).code ?? '')) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

test('a member that missed a generation goes on from where the others came to', async () => {
  newWorld()
  const { tap, factory } = tappedSockets()
  const log = await openLog({ socketFactory: factory })
  await log.append('many', recordsOf(Array.from({ length: 200 }, (_, index) => String(index))))
  const { consumer } = await join(log, 'many', 'g')
  for (const partition of [0, 1, 2, 3]) await consumer.advance(partition, 1)
  const lost = loseNextAssignment(tap)
  const other = await joinBeside(await openLog(), 'many', 'g')
  await lost
  const theirs = other.shares[0]!
  expect(await other.consumer.position(theirs)).toEqual({ next: 1 })
  await other.consumer.advance(theirs, 5)
  await other.consumer.close()
  await insist(() => consumer.claim(theirs, 20))
  expect(await consumer.position(theirs)).toEqual({ next: 5, claimed: 20 })
}, 60_000)

test('a member whose assignment was lost on its way joins again', async () => {
  newWorld()
  const { tap, factory } = tappedSockets()
  const log = await openLog({ socketFactory: factory })
  await log.append('many', recordsOf(Array.from({ length: 200 }, (_, index) => String(index))))
  const mine = new Set<number>()
  const consumer = await log.consume('many', 'g', {
    onAssigned: (partition) => void mine.add(partition),
    onRevoked: (partition) => void mine.delete(partition),
  })
  await insist(() => consumer.advance(0, 1))
  const lost = loseNextAssignment(tap)
  await joinBeside(await openLog(), 'many', 'g')
  await lost
  await insist(async () => consumer.advance([...mine][0]!, 2))
  expect(mine.size).toBe(2)
}, 60_000)

test('a commit that was under way in one generation is never made in the next', async () => {
  newWorld()
  const { tap, factory } = tappedSockets()
  const log = await openLog({ socketFactory: factory })
  await log.append('many', recordsOf(Array.from({ length: 200 }, (_, index) => String(index))))
  const { consumer, revoked } = await join(log, 'many', 'g')
  for (const partition of [0, 1, 2, 3])
    await consumer.read(partition, 0, { maxRecords: 10, maxBytes: 1e6, waitMs: 60_000 })
  const held = new Set<Socket>()
  tap.pass = (request, socket) => {
    if (request === requests.commit) held.add(socket)
    return request !== requests.commit
  }
  const claims = Promise.allSettled([0, 1, 2, 3].map((partition) => consumer.claim(partition, 10)))
  const other = await joinBeside(await openLog(), 'many', 'g')
  while (revoked.length < 2) await new Promise((resolve) => setImmediate(resolve))
  tap.pass = () => true
  held.forEach(cut)
  await claims
  for (const partition of other.shares) expect(await other.consumer.position(partition)).toEqual({ next: 0 })
}, 60_000)

test('a consumer that stopped for good says so instead of giving its partitions back, and the others go on', async () => {
  newWorld()
  const { tap, factory } = tappedSockets()
  const log = await openLog({ socketFactory: factory })
  await log.append('one', recordsOf(['a', 'b', 'c', 'd']))
  await log.append('many', recordsOf(['a']))
  const broken = await join(log, 'one', 'g')
  const whole = await join(log, 'many', 'h')
  const held: (() => void)[] = []
  tap.pass = (request, socket) => {
    if (request === requests.fetch) held.push(() => cut(socket))
    return request !== requests.fetch
  }
  const limits = { maxRecords: 10, maxBytes: 1e6, waitMs: 60_000 }
  const reading = broken.consumer.read(0, 0, limits)
  while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await withAdmin(async (admin) => {
    await admin.fetchTopicOffsets(`${prefix}one`)
    await admin.deleteTopicRecords({ topic: `${prefix}one`, partitions: [{ partition: 0, offset: '3' }] })
  })
  tap.pass = () => true
  for (const release of held) release()
  await expect(reading).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: false })
  await expect(broken.consumer.claim(0, 1)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: false })
  expect(broken.revoked).toEqual([])
  expect(await whole.consumer.position(0)).toEqual({ next: 0 })
}, 60_000)

test('a consumer that is asked nothing gives its partitions up; a tail of a quiet topic goes on', async () => {
  newWorld()
  let tellStalled: (problem: string) => void = () => undefined
  const stalled = new Promise<string>((resolve) => (tellStalled = resolve))
  const log = await openLog({ stalledMs: 1_000, onProblem: (problem) => tellStalled(problem) })
  await log.append('one', recordsOf(['first']))
  const rest = log.tail('one', { from: new Map([[0, 1]]) })[Symbol.asyncIterator]()
  const next = rest.next()
  // It joins later than the tail began, and is given up as long after its last question.
  const { consumer } = await join(log, 'many', 'idle')
  expect(await stalled).toContain('Nothing was asked of')
  await expect(consumer.position(0)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: false })
  await log.append('one', recordsOf(['second']))
  expect((await next).value).toMatchObject({ offset: 1 })
  await rest.return?.()
})

test('a consumer that slept past its session is fenced, and its heir finds the claim it left', async () => {
  newWorld()
  const log = await openLog()
  await log.append('one', recordsOf(Array.from({ length: 20 }, (_, index) => String(index))))
  const zombie = startMember('one', 'g')
  await zombie.hear('assigned 0')
  zombie.tell('claim 0 10')
  await zombie.hear('done claim')
  zombie.child.kill('SIGSTOP')
  const { consumer } = await join(log, 'one', 'g')
  expect(await consumer.position(0)).toEqual({ next: 0, claimed: 10 })
  await consumer.advance(0, 10)
  await consumer.claim(0, 15)
  await consumer.advance(0, 15)
  zombie.tell('claim 0 20')
  zombie.child.kill('SIGCONT')
  expect(await zombie.hear('failed')).toBe('failed FENCED')
  await zombie.hear('revoked 0')
  expect(await consumer.position(0)).toEqual({ next: 15 })
})

test('a group shares the partitions out, and those of a killed member go to the others with their claims', async () => {
  newWorld()
  const log = await openLog()
  const values = Array.from({ length: 40 }, (_, index) => String(index))
  await log.append('many', recordsOf(values))
  const first = await join(log, 'many', 'g')
  const other = startMember('many', 'g')
  const theirs = Number((await other.hear('assigned')).split(' ')[1])
  while (!first.revoked.includes(theirs)) await new Promise((resolve) => setImmediate(resolve))
  await expect(first.consumer.claim(theirs, 1)).rejects.toMatchObject({ code: 'FENCED' })
  other.tell(`claim ${theirs} 5`)
  await other.hear('done claim')
  other.child.kill('SIGKILL')
  const taken = await new Promise<number>((resolve, reject) => {
    const look = (): void => {
      first.consumer.position(theirs).then(
        ({ next, claimed }) => (claimed === undefined ? reject(new Error(`no claim at ${next}`)) : resolve(claimed)),
        () => setImmediate(look),
      )
    }
    look()
  })
  expect(taken).toBe(5)
})

test('what is acknowledged is there while each broker is killed in turn', async () => {
  newWorld()
  const log = await openLog()
  const acknowledged: string[] = []
  let isOver = false
  let count = 0
  const append = async (): Promise<void> => {
    while (!isOver) {
      const values = Array.from({ length: 20 }, () => `event-${(count += 1)}`)
      await log.append('many', recordsOf(values)).then(
        () => acknowledged.push(...values),
        (error: unknown) => expect(error).toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true }),
      )
    }
  }
  const appending = Promise.all(Array.from({ length: 8 }, append))
  for (const broker of [1, 2, 3]) {
    const before = acknowledged.length
    await servers.kill(broker)
    while (acknowledged.length < before + 1_000) await new Promise((resolve) => setImmediate(resolve))
    await servers.start(broker)
    // Its copies have to be those of the others again before one of these may go.
    await inSync()
  }
  isOver = true
  await appending
  const total = (await log.partitions('many')).reduce((sum, { start, end }) => sum + end - start, 0)
  const found = new Set(textsOf(await take(log.tail('many', { from: 'start' }), total)))
  expect(acknowledged.filter((value) => !found.has(value))).toEqual([])
  expect(acknowledged.length).toBeGreaterThan(3_000)
}, 240_000)

/** Resolves when every partition has all its replicas. */
async function inSync(): Promise<void> {
  await withAdmin(async (admin) => {
    for (;;) {
      const { topics } = await admin.fetchTopicMetadata()
      if (topics.every(({ partitions }) => partitions.every(({ isr, replicas }) => isr.length === replicas.length)))
        return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })
}
async function withAdmin<Result>(work: (admin: kafkajs.Admin) => Promise<Result>): Promise<Result> {
  const admin = new kafkajs.Kafka({ brokers: [...servers.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

test('topics keep their records by time, never by size, and their number of partitions is fixed', async () => {
  newWorld()
  const log = await openLog({ retainMs: { one: null, many: 3_600_000 } })
  await Promise.all([log.partitions('one'), log.partitions('many')])
  const configs = await withAdmin(async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: ['one', 'many'].map((name) => ({
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: `${prefix}${name}`,
        configNames: ['retention.ms', 'retention.bytes', 'min.insync.replicas', 'cleanup.policy'],
      })),
    })
    return resources.map(({ configEntries }) =>
      Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    )
  })
  const both = { 'retention.bytes': '-1', 'min.insync.replicas': '2', 'cleanup.policy': 'delete' }
  expect(configs).toEqual([
    { ...both, 'retention.ms': '-1' },
    { ...both, 'retention.ms': '3600000' },
  ])
  const other = await openLog({ partitions: { many: 6 } })
  await expect(other.partitions('many')).rejects.toMatchObject({ code: 'CONFLICT' })
})

test('a group whose next record is gone is told so instead of going on elsewhere', async () => {
  newWorld()
  const log = await openLog()
  await log.append('one', recordsOf(['a', 'b', 'c', 'd']))
  const { consumer } = await join(log, 'one', 'g')
  await consumer.advance(0, 1)
  await withAdmin(async (admin) => {
    // The client deletes only from topics that it has asked about.
    await admin.fetchTopicOffsets(`${prefix}one`)
    await admin.deleteTopicRecords({ topic: `${prefix}one`, partitions: [{ partition: 0, offset: '3' }] })
  })
  await expect(consumer.read(0, 1, { maxRecords: 10, maxBytes: 1e6, waitMs: 0 })).rejects.toMatchObject({
    code: 'POSITION_DISAGREES',
  })
  await expect(consumer.read(0, 5, { maxRecords: 10, maxBytes: 1e6, waitMs: 0 })).rejects.toMatchObject({
    code: 'POSITION_DISAGREES',
  })
  expect(await consumer.position(0)).toEqual({ next: 1 })
})

test('forgets what lies before an offset of each partition, and nothing behind it', async () => {
  newWorld()
  const log = await openKafkaEventLog({ brokers: servers.brokers, prefix, partitions: { many: 4 } })
  logs.push(log)
  await log.append('many', recordsOf(Array.from({ length: 100 }, (_, index) => String(index))))
  const ends = endsOf(await log.partitions('many'))
  await log.append('many', recordsOf(['late']))
  await log.forget('many', ends)
  await log.forget('many', ends)
  const kept = await log.partitions('many')
  expect(kept.map(({ start }) => start)).toEqual(ends)
  expect(textsOf(await take(log.tail('many', { from: 'start' }), 1))).toEqual(['late'])
})

test('tails that have only just begun end when the log closes', async () => {
  newWorld()
  const log = await openLog()
  await log.partitions('one')
  const tails = Array.from({ length: 20 }, () => log.tail('one', { from: 'start' })[Symbol.asyncIterator]().next())
  await log.close()
  for (const first of tails) expect(await first).toEqual({ done: true, value: undefined })
})

test('a producer that cannot connect leaves no connection behind', async () => {
  const { tap, factory } = tappedSockets()
  const sockets = countedSockets(factory)
  // As brokers that hang before they know who comes: they take the connection, and answer nothing.
  tap.pass = (request) => request !== requests.versions
  const kafka = new kafkajs.Kafka({
    brokers: [...servers.brokers],
    sasl: { mechanism: 'plain', username: 'ingest', password: 'secret' },
    requestTimeout: 50,
    socketFactory: sockets.factory,
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const producer = createBatchingProducer(kafka)
  await expect(producer.append('any', 1, recordsOf(['a']))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await sockets.closedTo(0)
  await producer.close()
})

test('a consumer that cannot join leaves no connection behind', async () => {
  newWorld()
  const sockets = countedSockets()
  const log = await openLog({ socketFactory: sockets.factory })
  await log.partitions('one')
  await withAdmin((admin) => admin.deleteTopics({ topics: [`${prefix}one`] }))
  const before = sockets.open.size
  const join = async (): Promise<unknown> => {
    // Until every broker has heard of it.
    for (;;) {
      try {
        const consumer = await log.consume('one', 'g', { onAssigned: () => undefined, onRevoked: () => undefined })
        await consumer.close()
      } catch (error) {
        return error
      }
    }
  }
  expect(await join()).toMatchObject({ code: 'LOG_UNAVAILABLE' })
  await sockets.closedTo(before)
})

test('a topic that was made anew takes records again, although its offsets were given before', async () => {
  newWorld()
  const log = await openLog()
  for (let count = 0; count < 20; count++) await log.append('one', recordsOf([`before ${count}`]))
  await withAdmin(async (admin) => {
    await admin.deleteTopics({ topics: [`${prefix}one`] })
    while ((await admin.listTopics()).includes(`${prefix}one`)) await new Promise((resolve) => setImmediate(resolve))
  })
  await (await openLog()).partitions('one')
  const problems: string[] = []
  const append = (): Promise<unknown> =>
    log.append('one', recordsOf(['after'])).catch((error: unknown) => {
      problems.push(String(error))
      return append()
    })
  await append()
  expect(problems.filter((problem) => problem.includes('twice')).length).toBeLessThanOrEqual(1)
})
