import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { newOperationId, openEngine } from '@footfall/embedded-clickhouse/engine'
import { createHttpServer } from '@footfall/embedded-clickhouse/http'

/** What the process that forked this one is told: first the port, then each statement's time. */
export interface EngineAnswer {
  readonly port?: number
  readonly ms?: number
}

// The engine as standalone runs it, and beside its HTTP interface a way to run a statement that this refuses: file().
const [directory] = process.argv.slice(2)
const engine = await openEngine({
  directory: join(directory!, 'store'),
  backupsDirectory: join(directory!, 'backups'),
  memoryBytes: 600_000_000,
})
const server = createHttpServer({ engine, user: 'default', password: 'bench' })
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const tell = (answer: EngineAnswer): void => void process.send!(answer)
process.on('message', (sql: string) => {
  const began = performance.now()
  const operation = { id: newOperationId(), database: 'footfall', settings: new Map(), parameters: new Map() }
  void engine
    .run('insert', operation, (session) => session.queryAsync(sql))
    .then(() => tell({ ms: performance.now() - began }))
})
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
tell({ port: (server.address() as AddressInfo).port })
