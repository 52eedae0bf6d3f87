import { deploymentSchema } from '@footfall/contracts/registry'
import { createAgentClassifier } from '@footfall/enrichment/agent-classes'
import { createLocalClock } from '@footfall/enrichment/local-time'
import { describe, expect, test } from 'vitest'
import { createLineReader, type LineResult } from '../../src/import/line-records.ts'

const deployment = deploymentSchema.parse({
  id: 'logs',
  app: 'app',
  organisation: 'city',
  url: 'https://app.example/start',
  time_zone: 'UTC',
  origins: ['https://app.example'],
  mode: 'exempt',
})
const now = Date.UTC(2026, 2, 11, 12)
const newReader = (): ((line: string) => LineResult) =>
  createLineReader({
    deployment,
    secret: 'secret',
    saltOf: () => 'salt',
    classify: createAgentClassifier(),
    localTime: createLocalClock(),
    receivedAt: now,
    now: () => now,
  })
const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0'
const line = (date: string, target = '/', agent = firefox): string =>
  `192.0.2.7 - - [${date} +0000] "GET ${target} HTTP/1.1" 200 512 "-" "${agent}"`
const recordOf = (result: LineResult) => {
  if (result.kind !== 'event') throw new Error(`is ${result.kind}`)
  return result.record
}

describe('lines as page views', () => {
  test('equal lines are two visits, also when a line of tomorrow stands between them', () => {
    const read = newReader()
    const ids = [
      line('10/Mar/2026:10:00:01'),
      line('12/Mar/2026:10:00:01', '/ahead'),
      line('10/Mar/2026:10:00:01'),
    ].map((text) => recordOf(read(text)).id)
    expect(new Set(ids).size).toBe(3)
  })

  test('a line from more than a day ahead is none', () => {
    const read = newReader()
    expect(read(line('12/Mar/2026:11:59:59')).kind).toBe('event')
    expect(read(line('12/Mar/2026:12:00:01')).kind).toBe('unreadable')
    expect(read(line('01/Jan/9999:00:00:00')).kind).toBe('unreadable')
  })

  test('an empty agent is a bot; the common format tells of none and is not', () => {
    expect(recordOf(newReader()(line('10/Mar/2026:10:00:01', '/', '-'))).bot).toBe(true)
    expect(recordOf(newReader()(line('10/Mar/2026:10:00:01'))).bot).toBe(false)
    const common = line('10/Mar/2026:10:00:01').replace(/ "-" .*/, '')
    expect(recordOf(newReader()(common)).bot).toBe(false)
  })

  test('a line without an agent among combined ones was cut, and is no person', () => {
    const read = newReader()
    const cut = line('10/Mar/2026:10:00:01').replace(/512 .*/, '51')
    expect(read(line('10/Mar/2026:10:00:00')).kind).toBe('event')
    expect(read(cut).kind).toBe('unreadable')
  })

  test('a path that begins with two slashes is no other host', () => {
    expect(recordOf(newReader()(line('10/Mar/2026:10:00:01', '//wp-login.php')))).toMatchObject({
      host: 'app.example',
      path: '//wp-login.php',
    })
  })
})
