import type { IncomingMessage } from 'node:http'
import type { EventLog } from '@footfall/event-log'
import type { JobQueue } from '@footfall/job-queue'
import type { Registry } from '@footfall/registry/registry'
import type { Store } from '@footfall/store/open'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Html } from './html.ts'
import type { LiveFeed } from './live-feed.ts'
import type { AssetPaths } from './render/layout.ts'
import type { Scope, Session, Sessions } from './sessions.ts'
import type { SignInLinks } from './sign-in-links.ts'
import type { Throttle } from './throttle.ts'

/** What only the owner of the log knows. */
export interface LedgerExtras {
  /** Events that are accepted and not yet in the store. */
  readonly in_log: number
  /** Set where one deployment was asked for and too many wait to be told apart: `in_log` is of all. */
  readonly in_log_scope?: 'all'
  /** Events that have not reached the log yet; null: ingests have them on disks of their own, and nobody here knows. */
  readonly spooled: number | null
  /** When the oldest of all that wait was accepted, Unix milliseconds; absent: none waits. */
  readonly unconsumed_from?: number
}

export interface ConsoleParts {
  readonly store: Store
  readonly registry: Registry
  readonly log: EventLog
  readonly queue?: JobQueue
  readonly config: {
    readonly publicUrl: () => string
    readonly adminToken: () => string
    readonly dataDirectory: string
  }
  /** @param deployment counts its events alone; absent: those of all. */
  readonly ledgerExtras: (deployment?: string) => Promise<LedgerExtras>
  /** What has stopped the consumer, if anything. */
  readonly problem?: () => string | null
  /** Who wrong tokens are counted against. */
  readonly addressOf: (request: IncomingMessage) => string
  readonly now: () => number
  readonly signInLinks: SignInLinks
}

/** What pages use beside the parts. */
export interface Web extends ConsoleParts {
  readonly sessions: Sessions
  readonly throttle: Throttle
  readonly feed: LiveFeed
  readonly assets: AssetPaths
  /** What a token may do; null when it is unknown. */
  readonly verify: (token: string) => Scope | null
  readonly sessionOf: (request: FastifyRequest) => Session | null
  /** The session, or null after the visitor was sent to sign in. */
  readonly enter: (request: FastifyRequest, reply: FastifyReply, scope?: Scope) => Session | null
  /** The form's fields when it comes from a page of ours in this session; null after it was refused. */
  readonly readForm: (request: FastifyRequest, reply: FastifyReply, session: Session | null) => URLSearchParams | null
  readonly send: (reply: FastifyReply, page: string, status?: number) => FastifyReply
  readonly notFound: (reply: FastifyReply, session: Session | null) => FastifyReply
  /** The address of a served script as a tag. */
  readonly script: (name: 'live' | 'start' | 'copy') => Html
}
