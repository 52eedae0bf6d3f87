import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import type { EventLog } from '@footfall/event-log'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRegistry, type Registry } from '../src/registry.ts'

let directory: string
let log: EventLog
const registries: Registry[] = []
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-registry-'))
  log = await openEmbeddedEventLog({ directory: join(directory, 'log'), minFreeBytes: 0 })
})
afterEach(async () => {
  for (const registry of registries.splice(0)) await registry.close()
  await log.close()
  await rm(directory, { recursive: true, force: true })
})

async function open(name: string, over: EventLog = log, onProblem?: (problem: string) => void): Promise<Registry> {
  const registry = await openRegistry({
    log: over,
    snapshotFile: join(directory, `${name}.json`),
    ...(onProblem ? { onProblem } : {}),
  })
  registries.push(registry)
  return registry
}
const city = (id: string) => ({ organisations: [{ id, name: id, type: 'city', country: 'DE' }] })
const names = (registry: Registry): string[] => registry.organisations().map(({ id }) => id)
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

/** A log that cannot be reached until `isThere`. */
function reachable(over: EventLog, isThere: () => boolean): EventLog {
  const reach = (): EventLog => {
    if (isThere()) return over
    throw new PipelineError('LOG_UNAVAILABLE', 'It is away.')
  }
  return {
    get logId() {
      return reach().logId
    },
    append: async (...args) => reach().append(...args),
    consume: async (...args) => reach().consume(...args),
    tail: (...args) => reach().tail(...args),
    partitions: async (...args) => reach().partitions(...args),
    close: async () => undefined,
  }
}

/** Whose secret a key's owner holds. */
const withDeployment = () => ({
  ...city('leipzig'),
  apps: [{ id: 'shop', name: 'Shop' }],
  deployments: [
    { id: 'a', app: 'shop', organisation: 'leipzig', time_zone: 'Europe/Berlin', origins: [], mode: 'exempt' },
  ],
})

describe('the registry', () => {
  test('is seen by every process that follows the log', async () => {
    const [one, two] = [await open('one'), await open('two')]
    await one.apply(city('leipzig'), { actor: 'test' })
    await until(() => names(two).length === 1)
    await two.apply(city('dresden'), { actor: 'test' })
    await until(() => names(one).length === 2)
    expect(names(one)).toEqual(names(two))
  })

  test('takes one of two changes that were made at once, and tells the other so', async () => {
    const [one, two] = [await open('one'), await open('two')]
    const results = await Promise.allSettled([
      one.apply(city('leipzig'), { actor: 'test' }),
      two.apply(city('dresden'), { actor: 'test' }),
    ])
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused.map(({ reason }) => (reason as PipelineError).code)).toEqual(['STALE_REVISION'])
    await until(() => one.revision() === 1 && two.revision() === 1)
    expect(names(one)).toEqual(names(two))
  })

  test('goes on from its snapshot while the log is away, and follows when it is back', async () => {
    const writer = await open('writer')
    await writer.apply(city('leipzig'), { actor: 'test' })
    const follower = await open('follower')
    await follower.close()
    let isThere = false
    const again = await open(
      'follower',
      reachable(log, () => isThere),
    )
    expect(names(again)).toEqual(['leipzig'])
    await expect(again.apply(city('dresden'), { actor: 'test' })).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' })
    await writer.apply(city('chemnitz'), { actor: 'test' })
    isThere = true
    await until(() => names(again).length === 2)
    await again.apply(city('dresden'), { actor: 'test' })
    await until(() => names(writer).length === 3)
  })

  test('without log and snapshot waits for the log', async () => {
    const writer = await open('writer')
    await writer.apply(city('leipzig'), { actor: 'test' })
    let isThere = false
    const problems: string[] = []
    const opening = open(
      'new',
      reachable(log, () => isThere),
      (problem) => {
        problems.push(problem)
        isThere = true
      },
    )
    expect(names(await opening)).toEqual(['leipzig'])
    expect(problems).toEqual(['the log is away, and there is no snapshot of the registry to go on with yet'])
  })

  test('forgets the snapshot of another log', async () => {
    const writer = await open('mixed')
    await writer.apply(city('leipzig'), { actor: 'test' })
    await writer.close()
    const other = await openEmbeddedEventLog({ directory: join(directory, 'other'), minFreeBytes: 0 })
    let isThere = false
    const registry = await open(
      'mixed',
      reachable(other, () => isThere),
    )
    expect(names(registry)).toEqual(['leipzig'])
    isThere = true
    await until(() => names(registry).length === 0)
    await registry.apply(city('dresden'), { actor: 'test' })
    expect(names(registry)).toEqual(['dresden'])
    await registry.close()
    await other.close()
  })

  test('makes a change while the log takes records and gives none, and goes on with the next that comes', async () => {
    let flow: () => void = () => undefined
    const flowing = new Promise<void>((resolve) => (flow = resolve))
    const held: EventLog = {
      ...log,
      logId: log.logId,
      async *tail(topic, options) {
        await flowing
        yield* log.tail(topic, options)
      },
    }
    const registry = await open('one', held)
    await registry.apply(city('first'), { actor: 'cli' })
    expect(names(registry)).toEqual(['first'])
    const other = await open('two')
    await other.apply(city('second'), { actor: 'cli' })
    flow()
    await until(() => names(registry).length === 2)
    expect([registry.revision(), names(registry)]).toEqual([2, ['first', 'second']])
  })

  test('takes a change for made although its record lies in the topic twice', async () => {
    const doubling: EventLog = {
      ...log,
      async append(topic, records) {
        await log.append(topic, records)
        return log.append(topic, records)
      },
    }
    const registry = await open('doubling', doubling)
    await registry.apply(withDeployment(), { actor: 'test' })
    const secret = await registry.createServerKey('a', 'test')
    expect(registry.lookupKey(secret)).toMatchObject({ kind: 'server' })
    expect(registry.revision()).toBe(2)
  })

  test('takes a change for made although the answer to its append was lost', async () => {
    const deaf: EventLog = {
      ...log,
      async append(topic, records) {
        await log.append(topic, records)
        throw new PipelineError('LOG_UNAVAILABLE', 'The answer was lost.')
      },
    }
    const registry = await open('deaf', deaf)
    await registry.apply(withDeployment(), { actor: 'test' })
    expect(registry.lookupKey(await registry.createServerKey('a', 'test'))).toMatchObject({ kind: 'server' })
  })

  test('says that the log was away when a change was not written, and can make it later', async () => {
    let isFull = true
    const failing: EventLog = {
      ...log,
      async append(topic, records) {
        if (isFull) throw new PipelineError('LOG_FULL', 'No space is left.')
        return log.append(topic, records)
      },
    }
    const registry = await open('failing', failing)
    await expect(registry.apply(city('leipzig'), { actor: 'test' })).rejects.toMatchObject({ code: 'LOG_FULL' })
    isFull = false
    expect(await registry.apply(city('leipzig'), { actor: 'test' })).toMatchObject({ revision: 1 })
  })

  test('reads records of before changes had a name', async () => {
    const record = {
      v: 1,
      revision: 1,
      at: 1,
      actor: 'test',
      changes: [{ kind: 'organisation', value: city('leipzig').organisations[0] }],
    }
    await log.append(topics.registry, [{ key: 'registry', value: JSON.stringify(record) }])
    expect(names(await open('old'))).toEqual(['leipzig'])
  })
})
