import { ConfigError } from '@footfall/config/config'
import { isPipelineError } from '@footfall/contracts/errors'

/** Node.js says that there is no such directory when the file system may not be written to. */
const isRefusal = ({ code = '', syscall, path }: NodeJS.ErrnoException): boolean =>
  path !== undefined && (['EACCES', 'EPERM', 'EROFS'].includes(code) || (code === 'ENOENT' && syscall === 'mkdir'))

/** What the command line prints of an error: a line of what was to be expected, and all of a fault. */
export function sayError(error: unknown): unknown {
  if (error instanceof ConfigError || isPipelineError(error)) return error.message
  if (error instanceof Error && isRefusal(error))
    return `The system does not let user ${process.getuid?.()} write or read here: ${error.message}. Data belong into a directory of that user; in a container, below /data.`
  return error
}
