import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, symlink, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve as resolvePath } from 'node:path'
import { PipelineError } from '@footfall/contracts/errors'
import { errnoOf } from './files.ts'

/** A stopped owner accepts (the kernel does) but never answers. */
const answerMs = 2000
/** The shortest limit for a socket's path is that of macOS: 104 bytes with the final zero. */
const maxPathBytes = 100

export interface DirectoryLock {
  release(): Promise<void>
}

/**
 * Makes this process the only owner of a directory, until it releases it or ends, however it ends.
 *
 * Every starter listens on a Unix socket of its own, `lock/<pid>-<random>`, and asks all others there. The kernel refuses
 * a connection to a process that is gone (after kill -9 as well, and only once its last write has ended), which tells a
 * stale name from a live one without trusting process ids. Of two who start at once the one who comes later in
 * the directory sees the other: an owner stays, and between two starters the smaller name goes on.
 * @throws LOG_LOCKED naming the owner's process id.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const lock = resolvePath(directory, 'lock')
  await mkdir(lock, { recursive: true, mode: 0o700 })
  const name = `${process.pid}-${randomBytes(4).toString('hex')}`
  let state: 'starting' | 'owner' | 'beaten' = 'starting'
  let beatenBy = ''

  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (asking) => {
      const asker = asking.toString()
      if (state === 'starting' && asker < name) {
        state = 'beaten'
        beatenBy = asker
      }
      socket.end(state === 'beaten' ? 'yield' : 'held')
    })
  })

  return withShortPath(lock, async (shortPath) => {
    // Bound under a name that nobody asks, then renamed: between bind and listen it would look stale.
    await listen(server, join(shortPath, `.${name}`))
    server.unref()
    await rename(join(lock, `.${name}`), join(lock, name))
    const release = async () => {
      await unlink(join(lock, name)).catch(ignoreMissing)
      await new Promise((resolve) => server.close(resolve))
    }
    try {
      for (const other of await readdir(lock)) {
        if (other === name || !/^\d+-[0-9a-f]{8}$/.test(other)) continue
        const answer = await ask(join(shortPath, other), name)
        if (answer === 'held') throw lockedBy(other, directory)
        if (answer === 'gone') await unlink(join(lock, other)).catch(ignoreMissing)
      }
      // Asked in the meantime by a starter that goes on instead.
      if ((state as string) === 'beaten') throw lockedBy(beatenBy, directory)
      state = 'owner'
    } catch (error) {
      await release()
      throw error
    }
    return { release }
  })
}

function lockedBy(name: string, directory: string): PipelineError {
  return new PipelineError('LOG_LOCKED', `Process ${name.split('-')[0]} owns ${directory}.`)
}

function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

/** Asks the process behind a socket whether it holds the directory or lets us go on. */
async function ask(path: string, name: string): Promise<'held' | 'yield' | 'gone'> {
  for (;;) {
    const answer = await askOnce(path, name)
    // Hung up without a word: it is giving up, or dying, and its socket soon refuses or is no longer there.
    if (answer !== '') return answer
  }
}

function askOnce(path: string, name: string): Promise<'held' | 'yield' | 'gone' | ''> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let answer = ''
    socket.setTimeout(answerMs, () => {
      resolve('held')
      socket.destroy()
    })
    socket.on('connect', () => socket.write(name))
    socket.on('data', (bytes) => (answer += bytes.toString()))
    socket.on('error', (error) => {
      if (['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error))) resolve('gone')
      else if (!['ECONNRESET', 'EPIPE'].includes(errnoOf(error))) reject(error)
    })
    socket.on('close', () => resolve(answer === 'yield' || answer === 'held' ? answer : ''))
  })
}

/** Gives a path to the directory that fits into a socket address: through a link in the temporary directory if it must. */
async function withShortPath<T>(directory: string, use: (path: string) => Promise<T>): Promise<T> {
  // The longest name in it is ".4194304-0123abcd".
  if (Buffer.byteLength(directory) + 18 <= maxPathBytes) return use(directory)
  const link = join(tmpdir(), `footfall-${randomBytes(6).toString('hex')}`)
  await symlink(directory, link)
  try {
    return await use(link)
  } finally {
    await unlink(link)
  }
}
