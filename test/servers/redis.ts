import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Sends a command and resolves to its raw answer. @throws what Redis answers as an error. */
  send(...command: string[]): Promise<string>
  /** As a power cut: SIGKILL; resolves once it is gone. */
  kill(): Promise<void>
  /** Starts it again on the same port and the same data; ready when it resolves. */
  restart(): Promise<void>
  /** Stops it from answering without closing its connections, until `thaw`. */
  freeze(): void
  thaw(): void
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/** One command on a connection of its own, in the protocol's inline form. */
async function ask(port: number, command: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write(`${command.join(' ')}\r\nQUIT\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    if (answer.startsWith('-')) throw new Error(answer.trim())
    return answer
  } finally {
    socket.destroy()
  }
}

/**
 * Starts a Redis that keeps what it has acknowledged (AOF, synced at each write) in a directory of its own.
 * @param options settings of redis.conf that differ, e.g. `{ 'maxmemory-policy': 'allkeys-lru' }`.
 * @throws what to install, when there is no redis-server.
 */
export async function startRedis(options: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'footfall-redis-'))
  const port = await freePort()
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    save: '',
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    ...options,
  }
  let child: ChildProcess
  // A suite that is cut off leaves no server behind.
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.on('exit', killAtExit)
  const start = async (): Promise<void> => {
    child = spawn(
      'redis-server',
      Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const said: string[] = []
    child.stdout!.on('data', (chunk) => said.push(String(chunk)))
    child.stderr!.on('data', (chunk) => said.push(String(chunk)))
    const ended = new Promise<never>((_resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT'
            ? new Error('There is no redis-server. On Debian: apt-get install -y redis-server')
            : error,
        ),
      )
      child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${said.join('')}`)))
    })
    ended.catch(() => undefined)
    const answers = async (): Promise<void> => {
      for (;;) {
        // Not there yet, or still reading its file (LOADING), or asking for a password: then it is there.
        const answer = await ask(port, ['PING']).catch((error: unknown) => String(error))
        if (answer.startsWith('+PONG') || answer.includes('NOAUTH')) return
        await Promise.race([new Promise((resolve) => setTimeout(resolve, 20)), ended])
      }
    }
    await Promise.race([answers(), ended])
  }
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  try {
    await start()
  } catch (error) {
    process.off('exit', killAtExit)
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    send: (...command) => ask(port, command),
    kill,
    restart: start,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async stop() {
      await kill()
      process.off('exit', killAtExit)
      await rm(directory, { recursive: true, force: true })
    },
  }
}
