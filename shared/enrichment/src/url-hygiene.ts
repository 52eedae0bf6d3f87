import { cleanText } from './clean-text.ts'

/** Segments that name one thing or one person rather than a page: long numbers, UUIDs, hashes. */
const identifying =
  /^(?:\d{5,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}|(?=[^/]*\d)[A-Za-z0-9_-]{24,})$/i

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function cleanSegment(segment: string): string {
  if (segment === '') return ''
  const text = segment.includes('%') ? decode(segment) : segment
  if (identifying.test(text)) return ':id'
  // Text cannot bring back what separates an address: a decoded slash or question mark stays encoded.
  return cleanText(text).replace(/[/?#%]/g, (sign) => encodeURIComponent(sign))
}

/**
 * Host and path of a page address. Query and fragment go, except the parameters a deployment asked to keep; segments
 * that identify become `:id`, e-mail addresses and telephone numbers `:email` and `:number`.
 * @returns null when it is not an http or https address.
 */
export function cleanPage(address: string, keepParams: readonly string[]): { host: string; path: string } | null {
  let url: URL
  try {
    url = new URL(address)
  } catch {
    return null
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  let path = url.pathname.split('/').map(cleanSegment).join('/').slice(0, 1024)
  if (keepParams.length > 0) {
    const kept = keepParams.filter((name) => url.searchParams.has(name))
    const pairs = kept.map(
      (name) => `${encodeURIComponent(name)}=${encodeURIComponent(cleanSegment(url.searchParams.get(name) ?? ''))}`,
    )
    if (pairs.length > 0) path = `${path}?${pairs.join('&')}`.slice(0, 1024)
  }
  return { host: url.host.toLowerCase(), path }
}

/** Host of the referring page; '' when it is the same site or not a web address. */
export function cleanReferrer(referrer: string, ownHost: string): string {
  try {
    const url = new URL(referrer)
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return ''
    const host = url.hostname.toLowerCase().replace(/^www\./, '')
    return host === ownHost.replace(/^www\./, '').replace(/:\d+$/, '') ? '' : host
  } catch {
    return ''
  }
}
