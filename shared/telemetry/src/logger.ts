import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/** Structured log on stderr. Fields that could hold a secret are blanked; callers never pass addresses or agents. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: null, redact: ['token', 'password', 'authorization', '*.token', '*.password', '*.authorization'] },
    pino.destination({ dest: 2, sync: true }),
  )
}
