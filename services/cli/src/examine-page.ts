import { PipelineError } from '@footfall/contracts/errors'
import type { Server } from './server.ts'

export interface Finding {
  readonly level: 'ok' | 'warning' | 'error'
  readonly what: string
  readonly todo?: string
}

interface RegistryAnswer {
  deployments: { id: string; name?: string; origins: string[]; test_origins: string[]; mode: string; keys: string[] }[]
}

const longestPage = 2_000_000

/** Attributes of the first script tag that carries `data-key`. */
export function findTag(page: string): Record<string, string> | null {
  for (const [, attributes = ''] of page.matchAll(/<script\b([^>]*)>/gi)) {
    const found: Record<string, string> = {}
    for (const [, name = '', quoted, single, bare] of attributes.matchAll(
      /([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/gi,
    )) {
      found[name.toLowerCase()] = quoted ?? single ?? bare ?? ''
    }
    if (found['data-key'] !== undefined) return found
  }
  return null
}

/** Whether a policy's directive lets an origin through; null when the policy does not speak of it. */
export function policyAllows(policy: string, directives: readonly string[], target: URL, own: string): boolean | null {
  const parsed = new Map(
    policy.split(';').map((part) => {
      const [name = '', ...sources] = part.trim().split(/\s+/)
      return [name.toLowerCase(), sources] as const
    }),
  )
  const sources = directives.map((name) => parsed.get(name)).find((found) => found !== undefined)
  if (!sources) return null
  return sources.some((source) => {
    if (source === '*' || source === `${target.protocol}`) return true
    if (source === "'self'") return target.origin === own
    const host = source.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
    return host === target.host || (host.startsWith('*.') && target.hostname.endsWith(host.slice(1)))
  })
}

/** Looks at a page as a browser would: tag, key, origin, policy, mixed content. */
export async function examinePage(address: string, server: Server | null): Promise<Finding[]> {
  const findings: Finding[] = []
  const say = (level: Finding['level'], what: string, todo?: string): void =>
    void findings.push({ level, what, ...(todo === undefined ? {} : { todo }) })
  if (!/^https?:\/\//.test(address) || !URL.canParse(address))
    throw new PipelineError('INVALID_REQUEST', `"${address}" is not an http or https address.`)
  let response: Response
  try {
    response = await fetch(address, { signal: AbortSignal.timeout(10_000) })
  } catch (error) {
    say('error', `${address} cannot be fetched: ${error instanceof Error ? error.message : String(error)}`)
    return findings
  }
  const page = (await response.text()).slice(0, longestPage)
  const own = new URL(response.url)
  if (!response.ok) say('warning', `the page answers ${response.status}`)
  const tag = findTag(page)
  if (!tag) {
    say(
      'error',
      'no script tag with data-key is on the page',
      'Put the snippet from the console before </head>. A tag that a script adds later is not seen here.',
    )
    return findings
  }
  if (!tag.src) {
    say('error', 'the tag has no src', 'Copy the snippet again.')
    return findings
  }
  const script = new URL(tag.src, own)
  const endpoint = new URL(tag['data-endpoint'] ?? script.href.replace(/[^/]*$/, 'v1/events'), own)
  say('ok', `the tag loads ${script.href} and sends to ${endpoint.href}`)
  if (own.protocol === 'https:' && (script.protocol === 'http:' || endpoint.protocol === 'http:')) {
    say(
      'warning',
      'an https page gets an http address: browsers block it',
      'Give the server an https address and set PUBLIC_URL to it.',
    )
  }
  const policies = [
    response.headers.get('content-security-policy'),
    /<meta[^>]+content-security-policy[^>]+content="([^"]*)"/i.exec(page)?.[1],
  ].filter((policy) => typeof policy === 'string')
  for (const policy of policies) {
    if (policyAllows(policy, ['script-src-elem', 'script-src', 'default-src'], script, own.origin) === false)
      say('error', 'the page’s policy forbids the script', `Add ${script.origin} to script-src.`)
    if (policyAllows(policy, ['connect-src', 'default-src'], endpoint, own.origin) === false)
      say('error', 'the page’s policy forbids sending', `Add ${endpoint.origin} to connect-src.`)
  }
  try {
    const served = await fetch(script, { signal: AbortSignal.timeout(10_000) })
    if (!served.ok) say('error', `the script answers ${served.status}`)
  } catch {
    say('error', 'the script cannot be fetched', 'Is the server running, and reachable from here?')
  }
  if (!server) {
    say('warning', 'key and origin are not checked: no server runs on this data directory')
    return findings
  }
  const { deployments } = await server.request<RegistryAnswer>('GET', '/api/v1/registry')
  const deployment = deployments.find(({ keys }) => keys.includes(tag['data-key']!))
  if (!deployment) {
    say('error', 'the key is unknown here', 'Copy the snippet of the deployment from the console.')
    return findings
  }
  say('ok', `the key belongs to ${deployment.name ?? deployment.id}`)
  if (deployment.mode === 'off') say('warning', 'measurement of this deployment is switched off')
  const local = /^(localhost|127\.|\[::1\])/.test(own.hostname)
  if (deployment.origins.includes(own.origin) || (local && deployment.origins.includes('http://localhost')))
    say('ok', `${own.origin} is among its origins`)
  else if (local || deployment.test_origins.includes(own.origin))
    say('warning', `${own.origin} is for tests: shown live, not counted`)
  else say('error', `${own.origin} is not among its origins`, 'Add it to the deployment under origins.')
  return findings
}
