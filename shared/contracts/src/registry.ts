import * as z from 'zod'

const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes, at most 63')
const text = z.string().min(1).max(200)
const webUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).max(2048)
const day = z.iso.date()

/** An origin as browsers send it: scheme, host and, unless it is the default, port; lower case, no path. */
const origin = z
  .string()
  .max(255)
  .refine((value) => {
    try {
      const url = new URL(value)
      return (url.protocol === 'https:' || url.protocol === 'http:') && url.origin === value
    } catch {
      return false
    }
  }, 'must be an origin such as https://app.example.org (no path, no trailing slash)')

const timeZone = z.string().refine((value) => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value })
    return true
  } catch {
    return false
  }
}, 'must be an IANA time zone such as Europe/Helsinki')

export const organisationSchema = z.strictObject({
  id,
  name: text,
  type: text,
  /** ISO 3166-1 alpha-2. */
  country: z.string().regex(/^[A-Z]{2}$/, 'must be two capital letters (ISO 3166-1)'),
  part_of: id.optional(),
})

export const appSchema = z.strictObject({
  id,
  name: text,
  repository: webUrl.optional(),
  licence: text.optional(),
  publiccode: webUrl.optional(),
})

export const relations = ['origin', 'redeployed-unchanged', 'configured', 'variant', 'inspired-by'] as const
export const modes = ['exempt', 'consent', 'off'] as const
export const environments = ['production', 'test'] as const

const eventName = z.string().regex(/^[a-z][a-z0-9_.]{0,63}$/)
export const publicKey = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/, 'must be 8 to 64 letters, digits, _ or -')

export const deploymentSchema = z.strictObject({
  id,
  app: id,
  organisation: id,
  name: text.optional(),
  url: webUrl.optional(),
  time_zone: timeZone,
  /** Pages that may send with a public key and are counted. */
  origins: z.array(origin).max(50),
  /** Pages that may send, are shown live and are in no number; localhost always is one. */
  test_origins: z.array(origin).max(50).default([]),
  environment: z.enum(environments).default('production'),
  mode: z.enum(modes),
  launched_on: day.optional(),
  retired_on: day.optional(),
  contact: z.string().min(1).max(200).optional(),
  challenges: z.array(text).max(20).default([]),
  need: z.string().min(1).max(1000).optional(),
  target: z.string().min(1).max(1000).optional(),
  borrowed_from: id.optional(),
  relation: z.enum(relations).optional(),
  /** When given, custom event names beyond these are refused. */
  events: z.array(eventName).max(200).optional(),
  /** Query parameters whose values are kept in paths; everything else after `?` is dropped. */
  keep_params: z.array(z.string().min(1).max(64)).max(20).default([]),
  keys: z.array(publicKey).max(20).optional(),
})

export type Organisation = z.infer<typeof organisationSchema>
export type App = z.infer<typeof appSchema>
export type Deployment = Omit<z.infer<typeof deploymentSchema>, 'keys'>

/** The file that `footfall registry apply` reads: validated whole before anything changes. */
export const catalogueSchema = z.strictObject({
  organisations: z.array(organisationSchema).max(10_000).default([]),
  apps: z.array(appSchema).max(10_000).default([]),
  deployments: z.array(deploymentSchema).max(10_000).default([]),
})
export type Catalogue = z.infer<typeof catalogueSchema>

/** A key as the registry keeps it: public keys as they are, secret ones as SHA-256. */
export interface Key {
  /** The public key itself, or the hex SHA-256 of a server key. */
  id: string
  deployment: string
  kind: 'browser' | 'server'
  /** Unix milliseconds. */
  created_at: number
  revoked_at: number | null
}

/** A token for the API and the console; only its SHA-256 is kept. */
export interface Token {
  id: string
  hash: string
  scope: 'admin' | 'read'
  created_at: number
  expires_at: number
  revoked_at: number | null
}

export type Change =
  | { kind: 'organisation'; value: Organisation }
  | { kind: 'app'; value: App }
  | { kind: 'deployment'; value: Deployment }
  | { kind: 'key'; value: Key }
  | { kind: 'token'; value: Token }
  | { kind: 'retire'; value: { entity: 'organisation' | 'app' | 'deployment'; id: string } }

/** One apply: one record on the registry topic. History is the audit log. */
export interface RegistryRecord {
  v: 1
  /** One more than the revision it builds on. */
  revision: number
  /** Unix milliseconds; changes hold from here on. */
  at: number
  /** Who asked: 'cli', 'console', 'system'. */
  actor: string
  /** Random: by it whoever made the change knows its record again, which may lie in the log more than once. */
  change?: string
  changes: Change[]
}
