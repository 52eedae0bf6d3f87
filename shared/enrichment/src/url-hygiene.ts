import { hideIdentifying, tidyText } from './clean-text.ts'

export interface Page {
  readonly host: string
  readonly path: string
}

const longestPath = 1024
/** Longer ones name no page. */
const longestSegment = 256
/** What was encoded more often than this was encoded to hide something. */
const mostDecodings = 5

/** One character in UTF-8, percent-encoded. */
const encodedCharacter =
  /%[0-7][\da-f]|%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-7](?:%[89ab][\da-f]){3}/gi

/** Decodes character by character: an address must not hide behind a byte that is no UTF-8. */
const decode = (text: string): string =>
  text.replace(encodedCharacter, (character) => {
    try {
      return decodeURIComponent(character)
    } catch {
      // Too long a form of a character, or half of a pair: it stays as it came.
      return character
    }
  })

/** Text as people read it, however often it was encoded, without what identifies. */
function cleanPart(encoded: string): string {
  let text = tidyText(encoded)
  for (let round = 0; text.includes('%'); round++) {
    const decoded = tidyText(decode(text))
    if (decoded === text) break
    if (round === mostDecodings) return ':id'
    text = decoded
  }
  text = text.trim()
  return text.length > longestSegment ? ':id' : hideIdentifying(text, 'segment')
}

function cleanSegment(segment: string): string {
  if (segment === '') return ''
  const text = cleanPart(segment)
  // Dots alone would climb when the path is read as an address again.
  if (text === '.' || text === '..') return ':id'
  // Text cannot bring back what separates an address: a decoded slash or question mark stays encoded.
  return text.replace(/[/\\?#%]/g, encodeURIComponent)
}

/**
 * Host and path of a page address. Query and fragment go, except the parameters a deployment asked to keep; what
 * identifies becomes `:id`, `:email`, `:number`, `:place` or `:ip`. Cleaning the result again changes nothing.
 * @returns null when it is not an http or https address.
 */
export function cleanPage(address: string, keepParams: readonly string[]): Page | null {
  let url: URL
  try {
    url = new URL(address)
  } catch {
    return null
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  let path = ''
  for (const segment of url.pathname.slice(1).split('/')) {
    const longer = `${path}/${cleanSegment(segment)}`
    if (longer.length > longestPath) break
    path = longer
  }
  let separator = '?'
  for (const name of keepParams) {
    const value = url.searchParams.get(name)
    if (value === null) continue
    const longer = `${path}${separator}${encodeURIComponent(name)}=${encodeURIComponent(cleanPart(value))}`
    if (longer.length > longestPath) break
    path = longer
    separator = '&'
  }
  return { host: url.host.toLowerCase(), path }
}

const mostKnown = 10_000
const longestKnown = 256
const noParams: readonly string[] = []

/** `cleanPage` that remembers the last 10,000 different addresses for every list of parameters, in memory alone. */
export function createPageCleaner(): typeof cleanPage {
  // By the list itself: the registry makes a new one when a deployment changes, and the old one's pages go with it.
  const lists = new WeakMap<readonly string[], Map<string, Page | null>>()
  return (address, keepParams) => {
    if (address.length > longestKnown) return cleanPage(address, keepParams)
    const list = keepParams.length === 0 ? noParams : keepParams
    let known = lists.get(list)
    if (!known) lists.set(list, (known = new Map<string, Page | null>()))
    let page = known.get(address)
    if (page === undefined) {
      page = cleanPage(address, keepParams)
      if (known.size >= mostKnown) known.delete(known.keys().next().value!)
      known.set(address, page)
    }
    return page
  }
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
