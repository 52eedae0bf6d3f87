import type { AddressInfo } from 'node:net'
import * as z from 'zod'
import { openEngine } from './engine.ts'
import { createHttpServer } from './http.ts'
import type { ChildMessage } from './supervise.ts'

const startSchema = z.object({
  type: z.literal('start'),
  directory: z.string(),
  backupsDirectory: z.string(),
  port: z.number().int(),
  user: z.string(),
  password: z.string(),
  memoryBytes: z.number(),
  lockWaitMs: z.number().optional(),
})

const tell = (message: ChildMessage): Promise<void> =>
  new Promise((resolve) => (process.send ? process.send(message, () => resolve()) : resolve()))

// Without its parent the engine would keep the data and go on answering. Exiting with work pending crashes, so it is killed.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// The terminal's interrupt reaches the whole group; the parent decides when the engine stops.
process.on('SIGINT', () => undefined)

/** Serves ClickHouse's HTTP interface for the process that forked this one; options come by message, never by argument. */
process.once('message', (message: unknown) => {
  const options = startSchema.parse(message)
  const serve = async (): Promise<void> => {
    const engine = await openEngine(options)
    const server = createHttpServer({ engine, user: options.user, password: options.password })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options.port, '127.0.0.1', resolve)
    })
    const stop = async (): Promise<void> => {
      server.close()
      server.closeIdleConnections()
      await engine.close()
      process.exit(0)
    }
    const stopOnce = (): void => {
      stop().catch(() => process.kill(process.pid, 'SIGKILL'))
    }
    process.on('message', stopOnce)
    process.on('SIGTERM', stopOnce)
    await tell({ type: 'ready', port: (server.address() as AddressInfo).port, version: engine.version })
  }
  serve().catch(async (error: unknown) => {
    await tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
    process.exit(1)
  })
})
