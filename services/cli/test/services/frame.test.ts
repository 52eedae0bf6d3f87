import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@footfall/config/config'
import { healthRoutes } from '@footfall/http/health'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createPassingTime } from '../../../../test/passing-time.ts'
import { runService, type Service } from '../../src/services/frame.ts'

let directory: string
let service: Service
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-frame-'))
})
afterEach(async () => {
  await service.close()
  await rm(directory, { recursive: true, force: true })
})

/** A service that watches one server. */
async function watching(check: () => Promise<unknown>, isNeeded: boolean) {
  const time = createPassingTime()
  const lines: string[] = []
  service = await runService(
    readConfig({ DATA_DIR: directory, PORT: '0' }),
    async (frame, app) => {
      healthRoutes(app, frame)
      frame.watch('store', check, { isNeeded })
      return null
    },
    { logger: pino({}, { write: (line: string) => lines.push(line) }), wait: time.wait },
  )
  const { url } = service
  const said = (words: string): number => lines.filter((line) => line.includes(words)).length
  const gauges = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      [...(await (await fetch(`${url}/metrics`)).text()).matchAll(/^footfall_ready\{part="(.+)"\} (.+)$/gm)].map(
        ([, part, value]) => [part!, value!],
      ),
    )
  /** Resolves with what `/readyz` says once the part is so. */
  const ready = async (value: '0' | '1'): Promise<{ status: number; answer: unknown }> => {
    while ((await gauges()).store !== value);
    const response = await fetch(`${url}/readyz`)
    return { status: response.status, answer: await response.json() }
  }
  return { ...time, said, gauges, ready }
}

test('a service is not ready while a server that it needs is away, says which, and is ready again by itself', async () => {
  let away = false
  const { pass, ready, gauges, said } = await watching(async () => {
    if (away) throw new Error('nobody there')
  }, true)
  expect(await ready('1')).toEqual({ status: 200, answer: { status: 'ready' } })
  away = true
  await pass(5_000)
  expect(await ready('0')).toEqual({ status: 503, answer: { status: 'not ready', reason: 'store: nobody there' } })
  expect(await gauges()).toEqual({ service: '0', store: '0' })
  await pass(5_000)
  await pass(5_000)
  away = false
  await pass(5_000)
  expect(await ready('1')).toEqual({ status: 200, answer: { status: 'ready' } })
  expect(await gauges()).toEqual({ service: '1', store: '1' })
  expect([said('a server is away'), said('a server is back')]).toEqual([1, 1])
})

test('a server that is not needed is seen in its gauge alone', async () => {
  const { ready, gauges } = await watching(() => Promise.reject(new Error('nobody there')), false)
  expect(await ready('0')).toEqual({ status: 200, answer: { status: 'ready' } })
  expect(await gauges()).toEqual({ service: '1', store: '0' })
})

test('a server that does not answer is away after four seconds, is not asked twice, and is back with its answer', async () => {
  let asked = 0
  let answer: () => void = () => undefined
  const { pass, ready } = await watching(() => {
    asked++
    return new Promise<void>((resolve) => (answer = resolve))
  }, true)
  await pass(4_000)
  expect((await ready('0')).answer).toMatchObject({ reason: 'store: no answer within 4 s' })
  expect(asked).toBe(1)
  answer()
  expect((await ready('1')).status).toBe(200)
})

test('a check that never ends holds up no stop', async () => {
  await watching(() => new Promise(() => undefined), true)
  await service.close()
})
