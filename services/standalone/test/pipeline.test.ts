import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@footfall/config/config'
import { findRoot } from '@footfall/config/root'
import { createLogger } from '@footfall/telemetry/logger'
import { expect, test } from 'vitest'
import { startStandalone, type Standalone } from '../src/start.ts'
import { pipelineSuite, token, type PipelineWorld } from './pipeline-suite.ts'

let root: string
let footfall: Standalone

const environment = (directory: string): Record<string, string> => ({
  DATA_DIR: directory,
  PORT: '0',
  ADMIN_TOKEN: token,
  FLUSH_INTERVAL_MS: '20',
  LOG_LEVEL: 'silent',
  TRUSTED_PROXIES: '127.0.0.1',
})
const start = async (directory: string): Promise<Standalone> => {
  const started = await startStandalone(readConfig(environment(directory)), { logger: createLogger('silent') })
  await started.storeReady
  return started
}

async function open(): Promise<PipelineWorld> {
  root = await mkdtemp(join(tmpdir(), 'footfall-pipeline-'))
  footfall = await start(join(root, 'data'))
  return {
    root,
    get ingests() {
      return [footfall.url]
    },
    get console() {
      return footfall.url
    },
    killStore: () => void process.kill(footfall.storePid()!, 'SIGKILL'),
    async logHolds(text) {
      const log = join(root, 'data/log/events/0')
      const files = (await readdir(log)).filter((name) => name.endsWith('.log'))
      const bytes = await Promise.all(files.map((file) => readFile(join(log, file))))
      return bytes.some((one) => one.includes(text))
    },
    async close() {
      await footfall.close()
      await rm(root, { recursive: true, force: true })
    },
  }
}

pipelineSuite('everything in one process', open, ({ run, ledger, settled, send, event }) => {
  test('a backup of the running server, restored elsewhere, goes on where the store was', async () => {
    await send([event(), event()])
    const { directory } = await run<{ directory: string }>('backup', { name: 'test' })
    // Made by an import since the start.
    expect(await readdir(directory)).toContain('import-secrets.json')
    await send([event()])
    await settled()
    const before = await ledger()
    await footfall.close()
    const restored = join(root, 'restored')
    const command = (args: readonly string[], data: string): string =>
      execFileSync(process.execPath, [join(findRoot(), 'dist/footfall.js'), ...args], {
        env: { ...process.env, ...environment(data) },
        encoding: 'utf8',
      })
    expect(command(['restore', directory], restored)).toContain('Restored the backup')
    expect(() => command(['restore', directory], restored)).toThrow()
    footfall = await start(restored)
    await settled()
    // The event that came after the backup is not in it; everything before is, once.
    expect(await ledger()).toMatchObject({ stored: before.stored - 1, difference: 0 })
    expect((await send([event()])).status).toBe(202)
    await settled()
    expect(await ledger()).toMatchObject({ stored: before.stored, difference: 0 })
  }, 120_000)
})
