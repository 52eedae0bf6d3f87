import { createRequire } from 'node:module'
import { afterEach, expect, test, vi } from 'vitest'
import { mendKafkajs } from '../src/mend-kafkajs.ts'

const require = createRequire(import.meta.url)
const logger = { namespace: () => logger, debug: () => undefined, info: () => undefined }
mendKafkajs()
const { prototype: runner } = require('kafkajs/src/consumer/runner.js') as {
  prototype: { fetch: (this: { running: boolean }, nodeId: number) => Promise<unknown> }
}

afterEach(() => {
  vi.useRealTimers()
})

test('what is mended is mended once', () => {
  const { fetch } = runner
  mendKafkajs()
  expect(runner.fetch).toBe(fetch)
})

type FetchManager = (options: {
  logger: unknown
  getNodeIds: () => number[]
  fetch: (nodeId: number) => Promise<unknown>
  handler: () => Promise<void>
  concurrency: number
}) => { start(): Promise<void> }

test('a fetcher that is made while its consumer stops ends, instead of taking the process', async () => {
  const createFetchManager = require('kafkajs/src/consumer/fetchManager.js') as FetchManager
  const manager = createFetchManager({
    logger,
    getNodeIds: () => [1],
    fetch: (nodeId) => runner.fetch.call({ running: false }, nodeId),
    handler: async () => undefined,
    concurrency: 1,
  })
  await expect(manager.start()).rejects.toThrow('has stopped')
})

interface Queue {
  push(request: { entry: { correlationId: number }; expectResponse: boolean; sendRequest: () => void }): void
  fulfillRequest(answer: { correlationId: number; payload: unknown; size: number }): void
  maybeThrottle(ms: number): void
}

const openQueue = (): Queue => {
  const RequestQueue = require('kafkajs/src/network/requestQueue/index.js') as new (options: unknown) => Queue
  return new RequestQueue({
    maxInFlightRequests: 1,
    requestTimeout: 1_000,
    enforceRequestTimeout: false,
    clientId: 'test',
    broker: 'test:9092',
    logger,
    isConnected: () => true,
  })
}
const request = (correlationId: number, sent: number[]) => ({
  entry: {
    correlationId,
    apiKey: 1,
    apiName: 'test',
    apiVersion: 1,
    resolve: () => undefined,
    reject: () => undefined,
  },
  expectResponse: true,
  sendRequest: () => void sent.push(correlationId),
})

test('a connection that has nothing to send sets no timer', () => {
  vi.useFakeTimers()
  const queue = openQueue()
  queue.push(request(1, []))
  queue.fulfillRequest({ correlationId: 1, payload: {}, size: 1 })
  expect(vi.getTimerCount()).toBe(0)
})

test('a request that waits for an answer or for the end of a throttling is sent', () => {
  vi.useFakeTimers()
  const sent: number[] = []
  const queue = openQueue()
  queue.push(request(1, sent))
  queue.push(request(2, sent))
  expect(sent).toEqual([1])
  queue.maybeThrottle(50)
  queue.fulfillRequest({ correlationId: 1, payload: {}, size: 1 })
  expect(sent).toEqual([1])
  vi.advanceTimersByTime(60)
  expect(sent).toEqual([1, 2])
  queue.fulfillRequest({ correlationId: 2, payload: {}, size: 1 })
  vi.advanceTimersByTime(60)
  expect(vi.getTimerCount()).toBe(0)
})
