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

const namedCharacters: Readonly<Record<string, string>> = { amp: '&', quot: '"', apos: "'", lt: '<', gt: '>' }

/** Text with its character references resolved, as far as templates write them. */
const decode = (text: string): string =>
  text.replace(/&(?:#(\d{1,6})|#x([\da-f]{1,5})|(amp|quot|apos|lt|gt));/gi, (...[, decimal, hex, name]: string[]) =>
    name ? namedCharacters[name.toLowerCase()]! : String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal)),
  )

/** Attributes of every such element of a page, in order; a `>` within quotes does not end the tag. */
function findElements(page: string, element: 'script' | 'meta'): Record<string, string>[] {
  const tags = new RegExp(`<${element}\\b((?:"[^"]*"|'[^']*'|[^>"'])*)>`, 'gi')
  return [...page.matchAll(tags)].map(([, attributes = '']) => {
    const found: Record<string, string> = {}
    for (const [, name = '', quoted, single, bare] of attributes.matchAll(
      /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g,
    )) {
      found[name.toLowerCase()] ??= decode(quoted ?? single ?? bare ?? '')
    }
    return found
  })
}

/** Attributes of every script tag that carries `data-key`. */
export const findTags = (page: string): Record<string, string>[] =>
  findElements(page, 'script').filter((found) => found['data-key'] !== undefined)

/** Whether one source of a policy matches an address (CSP level 3, section 6.7.2.8). */
function sourceMatches(source: string, target: URL, own: URL): boolean {
  if (source === "'self'") return target.origin === own.origin
  const parsed = /^(?:([a-z][a-z0-9+.-]*:)(?:\/\/|$))?([^/:]*)(?::(\d+|\*))?(\/.*)?$/i.exec(source)
  if (!parsed) return false
  const [, scheme = source === '*' ? 'http:' : own.protocol, host = '', port, path = ''] = parsed
  const [wanted, name] = [scheme.toLowerCase(), host.toLowerCase()]
  // What is allowed over http is allowed over https.
  if (wanted !== target.protocol && !(wanted === 'http:' && target.protocol === 'https:')) return false
  if (name === '' || source === '*') return true
  const actualPort = target.port || (target.protocol === 'https:' ? '443' : '80')
  return (
    (name === '*' || name === target.hostname || (name.startsWith('*.') && target.hostname.endsWith(name.slice(1)))) &&
    (port === undefined ? target.port === '' : port === '*' || port === actualPort) &&
    (path.endsWith('/') ? target.pathname.startsWith(path) : path === '' || path === target.pathname)
  )
}

/**
 * Whether a policy lets an address through, by the first of the directives that it has; null when it has none.
 * @param tag attributes of the script tag that loads the address, which its nonce or integrity can vouch for.
 */
export function policyAllows(
  policy: string,
  directives: readonly string[],
  target: URL,
  own: URL,
  tag?: Readonly<Record<string, string>>,
): boolean | null {
  const parsed = new Map<string, string[]>()
  for (const part of policy.split(';')) {
    const [name = '', ...sources] = part.trim().split(/\s+/)
    // Of two directives with one name the first holds.
    if (!parsed.has(name.toLowerCase())) parsed.set(name.toLowerCase(), sources)
  }
  const sources = directives.map((name) => parsed.get(name)).find((found) => found !== undefined)
  if (!sources) return null
  if (tag?.nonce && sources.includes(`'nonce-${tag.nonce}'`)) return true
  if (tag?.integrity && sources.includes(`'${tag.integrity}'`)) return true
  // It speaks of scripts only: beside it, their addresses do not count.
  if (tag && sources.includes("'strict-dynamic'")) return false
  return sources.some((source) => sourceMatches(source, target, own))
}

/** Looks at a page as a browser would: tag, key, origin, policy, mixed content. */
export async function examinePage(address: string, server: Server | null): Promise<Finding[]> {
  const findings: Finding[] = []
  const say = (level: Finding['level'], what: string, todo?: string): void =>
    void findings.push({ level, what, ...(todo === undefined ? {} : { todo }) })
  if (!/^https?:\/\//.test(address) || !URL.canParse(address))
    throw new PipelineError('INVALID_REQUEST', `"${address}" is not an http or https address.`)
  let response: Response
  let page: string
  try {
    response = await fetch(address, { signal: AbortSignal.timeout(10_000) })
    page = (await response.text()).slice(0, longestPage)
  } catch (error) {
    say('error', `${address} cannot be fetched: ${error instanceof Error ? error.message : String(error)}`)
    return findings
  }
  const own = new URL(response.url)
  if (!response.ok) say('warning', `the page answers ${response.status}`)
  const [tag, ...others] = findTags(page)
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
  for (const name of ['src', 'data-endpoint']) {
    if (!URL.canParse(tag[name] ?? '', own.href)) {
      say('error', `the tag’s ${name} is no address: ${tag[name]}`, 'Copy the snippet again.')
      return findings
    }
  }
  const script = new URL(tag.src, own)
  const endpoint = new URL(tag['data-endpoint'] ?? new URL('v1/events', script).href, own)
  say('ok', `the tag loads ${script.href} and sends to ${endpoint.href}`)
  if (others.length > 0) say('warning', `the tag is on the page ${others.length + 1} times: only the first counts`)
  if (tag.type?.trim().toLowerCase() === 'module') {
    say(
      'error',
      'the tag has type="module": such a script cannot read its own tag, and measures nothing',
      'Take type="module" off the tag; defer stays.',
    )
  }
  if (own.protocol === 'https:' && (script.protocol === 'http:' || endpoint.protocol === 'http:')) {
    say(
      'warning',
      'an https page gets an http address: browsers block it',
      'Give the server an https address and set PUBLIC_URL to it.',
    )
  }
  const policies = [
    // Several headers arrive as one, joined by commas.
    ...(response.headers.get('content-security-policy')?.split(',') ?? []),
    ...findElements(page, 'meta')
      .filter((meta) => meta['http-equiv']?.toLowerCase() === 'content-security-policy')
      .map(({ content = '' }) => content),
  ]
  for (const policy of policies) {
    if (policyAllows(policy, ['script-src-elem', 'script-src', 'default-src'], script, own, tag) === false) {
      say(
        'error',
        'the page’s policy forbids the script',
        policy.includes("'strict-dynamic'")
          ? 'Give the tag the nonce of the page.'
          : `Add ${script.origin} to script-src.`,
      )
    }
    if (policyAllows(policy, ['connect-src', 'default-src'], endpoint, own) === false)
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
  const mode = tag['data-mode'] ?? 'exempt'
  if (mode !== deployment.mode) {
    say(
      'error',
      `the tag’s mode is ${mode}, the deployment’s is ${deployment.mode}`,
      'Copy the snippet again, or change the mode of the deployment.',
    )
  }
  if (deployment.mode === 'off') say('warning', 'measurement of this deployment is switched off')
  const local = /^(localhost|127\.|\[::1\])/.test(own.hostname)
  if (deployment.origins.includes(own.origin) || (local && deployment.origins.includes('http://localhost')))
    say('ok', `${own.origin} is among its origins`)
  else if (local || deployment.test_origins.includes(own.origin))
    say('warning', `${own.origin} is for tests: shown live, not counted`)
  else say('error', `${own.origin} is not among its origins`, 'Add it to the deployment under origins.')
  return findings
}
