import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { mendStop } from '../src/kafkajs-stop.ts'

const require = createRequire(import.meta.url)
type FetchManager = (options: {
  logger: unknown
  getNodeIds: () => number[]
  fetch: (nodeId: number) => Promise<unknown>
  handler: () => Promise<void>
  concurrency: number
}) => { start(): Promise<void> }

test('a fetcher that is made while its consumer stops ends, instead of taking the process', async () => {
  const runner = mendStop()
  expect(mendStop()).toBe(runner)
  const logger = { namespace: () => logger, debug: () => undefined, info: () => undefined }
  const createFetchManager = require('kafkajs/src/consumer/fetchManager.js') as FetchManager
  const manager = createFetchManager({
    logger,
    getNodeIds: () => [1],
    fetch: (nodeId) => runner.prototype.fetch.call({ running: false }, nodeId),
    handler: async () => undefined,
    concurrency: 1,
  })
  await expect(manager.start()).rejects.toThrow('has stopped')
})
