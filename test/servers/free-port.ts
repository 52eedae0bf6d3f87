import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below the ports that systems give to outgoing connections, which would take one before its server listens. */
const [from, to] = [10_000, 32_000]

/** A port of loopback that nobody listens on, for a server that is started, and started again, in a process of its own. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(from, to)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
