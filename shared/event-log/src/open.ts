import { fileURLToPath } from 'node:url'
import type { EmbeddedLogOptions } from './embedded.ts'
import type { EventLog } from './event-log.ts'

/** The directory that a `file:` URL names: `file:data/log` is relative to the working directory. */
export function directoryOf(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length)
}

/**
 * Opens the event log that a URL names; only its adapter is loaded.
 * @param url `file:PATH`, the embedded log. @throws RangeError for a scheme without an adapter.
 */
export async function openEventLog(
  url: string,
  options: Omit<EmbeddedLogOptions, 'directory'> = {},
): Promise<EventLog> {
  if (url.startsWith('file:')) {
    const { openEmbeddedEventLog } = await import('./embedded.ts')
    return openEmbeddedEventLog({ ...options, directory: directoryOf(url) })
  }
  // The URL may carry a password: name its scheme only.
  throw new RangeError(`No event log for "${/^[a-z+]*/i.exec(url)?.[0]}:": EVENT_LOG_URL is file:PATH.`)
}
