import { statfs } from 'node:fs/promises'
import { PipelineError } from '@footfall/contracts/errors'
import type { LogFiles } from './files.ts'

/** Senders are refused from this share of the size budget on. */
const fullShare = 0.8

/** What the partitions of one log share: its files, its size and whether it still works. */
export interface LogContext {
  readonly files: LogFiles
  readonly now: () => number
  readonly segmentBytes: number
  readonly failed: Promise<PipelineError>
  bytes: number
  closing: boolean
  failure(): PipelineError | null
  /** Stops every write for good: after a failed sync nobody knows what the disk holds. */
  fail(cause: unknown, doing: string): PipelineError
  /** Why nothing may be appended now, or null. */
  refusal(): PipelineError | null
  /** Over the budget, or the disk nearly full: consumed segments go before their time. */
  isTight(): boolean
  freeBytes(): Promise<number>
  /** Looks at the free space when the last look is a second old. */
  watchFreeSpace(): void
}

export function makeContext(options: {
  directory: string
  files: LogFiles
  now: () => number
  segmentBytes: number
  maxBytes: number
  minFreeBytes: number
  onTight: () => void
}): LogContext {
  let failure: PipelineError | null = null
  let lowOnSpace = false
  let lookedAt = Number.NEGATIVE_INFINITY
  let announce: (error: PipelineError) => void
  const failed = new Promise<PipelineError>((resolve) => (announce = resolve))

  const context: LogContext = {
    files: options.files,
    now: options.now,
    segmentBytes: options.segmentBytes,
    failed,
    bytes: 0,
    closing: false,
    failure: () => failure,

    fail: (cause, doing) => {
      if (failure === null) {
        failure = new PipelineError('LOG_UNAVAILABLE', `${doing} failed: nothing is written until a restart.`, {
          cause,
        })
        announce(failure)
      }
      return failure
    },

    refusal: () => {
      if (failure) return failure
      if (context.closing) return new PipelineError('LOG_UNAVAILABLE', 'The log is closed.')
      if (!context.isTight()) return null
      context.watchFreeSpace()
      options.onTight()
      return new PipelineError('LOG_FULL')
    },

    isTight: () => lowOnSpace || context.bytes >= options.maxBytes * fullShare,

    freeBytes: async () => {
      const { bavail, bsize } = await statfs(options.directory)
      lowOnSpace = bavail * bsize < options.minFreeBytes
      return bavail * bsize
    },

    watchFreeSpace: () => {
      if (options.minFreeBytes === 0 || Math.abs(options.now() - lookedAt) < 1000) return
      lookedAt = options.now()
      // A look that fails changes nothing: the next write finds out what is wrong with the disk.
      context.freeBytes().catch(() => undefined)
    },
  }
  return context
}
