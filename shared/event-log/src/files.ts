import { close, fdatasync, fsync, ftruncate, open, read, write } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * The file operations whose failure decides what the log answers. Tests put failing ones in their place.
 * Descriptors are plain numbers: a FileHandle costs a promise and a reference more at every call.
 */
export interface LogFiles {
  open: (path: string, flags: string) => Promise<number>
  /** Bytes read; fewer than asked for only at the end of the file. */
  read: (fd: number, buffer: Buffer, position: number) => Promise<number>
  /** Writes all of `length` bytes or throws; how much of it was written is then unknown. */
  write: (fd: number, buffer: Buffer, length: number, position: number) => Promise<void>
  /** Contents and size are on the disk (F_FULLFSYNC on macOS, done by libuv). */
  datasync: (fd: number) => Promise<void>
  sync: (fd: number) => Promise<void>
  truncate: (fd: number, size: number) => Promise<void>
  close: (fd: number) => Promise<void>
}

function settle(resolve: () => void, reject: (error: Error) => void) {
  return (error: NodeJS.ErrnoException | null) => (error ? reject(error) : resolve())
}

export const realFiles: LogFiles = {
  open: (path, flags) =>
    new Promise((resolve, reject) => open(path, flags, 0o600, (error, fd) => (error ? reject(error) : resolve(fd)))),

  read: (fd, buffer, position) =>
    new Promise((resolve, reject) => {
      const step = (done: number) =>
        read(fd, buffer, done, buffer.length - done, position + done, (error, count) => {
          if (error) reject(error)
          else if (count === 0 || done + count === buffer.length) resolve(done + count)
          else step(done + count)
        })
      step(0)
    }),

  write: (fd, buffer, length, position) =>
    new Promise((resolve, reject) => {
      // A disk that fills up first writes short, and says ENOSPC only when asked for the rest.
      const step = (done: number) =>
        write(fd, buffer, done, length - done, position + done, (error, count) => {
          if (error) reject(error)
          else if (done + count === length) resolve()
          else step(done + count)
        })
      step(0)
    }),

  datasync: (fd) => new Promise((resolve, reject) => fdatasync(fd, settle(resolve, reject))),
  sync: (fd) => new Promise((resolve, reject) => fsync(fd, settle(resolve, reject))),
  truncate: (fd, size) => new Promise((resolve, reject) => ftruncate(fd, size, settle(resolve, reject))),
  close: (fd) => new Promise((resolve, reject) => close(fd, settle(resolve, reject))),
}

/** Makes the names in a directory durable: what was created, renamed or removed in it. */
export async function syncDirectory(files: LogFiles, path: string): Promise<void> {
  const fd = await files.open(path, 'r')
  try {
    await files.sync(fd)
  } finally {
    await files.close(fd)
  }
}

/** Replaces a small file so that a crash leaves the old or the new one, whole. */
export async function replaceFile(
  files: LogFiles,
  path: string,
  content: string,
  rename: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const buffer = Buffer.from(content)
  const fd = await files.open(`${path}.tmp`, 'w')
  try {
    await files.write(fd, buffer, buffer.length, 0)
    await files.datasync(fd)
  } finally {
    await files.close(fd)
  }
  await rename(`${path}.tmp`, path)
}

/** The error code of a failed system call, or ''. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** No room: the call may succeed later, and nothing that was synced is in doubt. */
export function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(errnoOf(error))
}

/** Writes a small file (0600) whole, and its name in the directory: both outlive a power cut. */
export async function writeDurably(path: string, content: string): Promise<void> {
  await replaceFile(realFiles, path, content, rename)
  await syncDirectory(realFiles, dirname(path))
}
