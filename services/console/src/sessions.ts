import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

export type Scope = 'admin' | 'read'

export interface Session {
  readonly scope: Scope
  /** Sent with every form of this session. */
  readonly formToken: string
  readonly expiresAt: number
  /** Asked at every use: false once the token that opened the session no longer holds. */
  readonly stillHolds: () => boolean
}

export interface Sessions {
  /** Opens a session; the answer is the cookie's value. */
  open(scope: Scope, stillHolds?: () => boolean): string
  find(cookie: string | undefined): Session | null
  close(cookie: string | undefined): void
}

/** A working day. */
export const sessionMs = 12 * 3600 * 1000
const mostSessions = 10_000

const digest = (text: string): string => createHash('sha256').update(text).digest('base64')

/** Compares without telling by its duration where the first difference is. */
export function sameText(left: string, right: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(left), hash(right))
}

/** Sessions live in memory, keyed by the hash of the cookie: a restart signs everybody out. */
export function createSessions(now: () => number): Sessions {
  const sessions = new Map<string, Session>()
  return {
    open(scope, stillHolds = () => true) {
      for (const [key, { expiresAt }] of sessions) {
        if (expiresAt <= now() || sessions.size >= mostSessions) sessions.delete(key)
        else break // Oldest first, all with the same life.
      }
      const cookie = randomBytes(32).toString('base64url')
      const formToken = randomBytes(24).toString('base64url')
      sessions.set(digest(cookie), { scope, formToken, expiresAt: now() + sessionMs, stillHolds })
      return cookie
    },
    find(cookie) {
      if (cookie === undefined) return null
      const key = digest(cookie)
      const session = sessions.get(key)
      if (session === undefined) return null
      if (session.expiresAt > now() && session.stillHolds()) return session
      sessions.delete(key)
      return null
    },
    close(cookie) {
      if (cookie !== undefined) sessions.delete(digest(cookie))
    },
  }
}
