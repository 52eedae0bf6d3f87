/** A request as an access log tells it. Address and agent stay in memory. */
export interface LoggedRequest {
  readonly address: string
  /** Unix milliseconds, to the second. */
  readonly at: number
  readonly method: string
  readonly target: string
  readonly status: number
  readonly referrer: string
  /** '' when the client sent none; null in the common format, which does not tell. */
  readonly userAgent: string | null
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
// address, two names, [day/month/year:time zone], "request", status, bytes: the common format. "referrer" and "agent"
// make it combined; nginx's packaged format ends with one more text. A quote inside is escaped. Nothing may follow: a
// line that is cut anywhere else is no line.
const pattern =
  /^(\S+) \S+ .*?\[(\d{2})\/(\w{3})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\] "((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"(?: "(?:[^"\\]|\\.)*")?)?\s*$/
const longestLine = 16_384

/** Before there were logs to import: a clock that was never set. */
const earliest = Date.UTC(1995, 0, 1)
const widestOffsetMs = 14 * 3600_000

const unescape = (text: string): string => (text === '-' ? '' : text.replace(/\\(["\\])/g, '$1'))

/** Reads a line of an Apache or nginx combined (or common) log; null when it is none. */
export function parseAccessLogLine(line: string): LoggedRequest | null {
  if (line.length > longestLine) return null
  const match = pattern.exec(line)
  if (!match) return null
  const [
    ,
    address = '',
    day,
    month = '',
    year,
    hour,
    minute,
    second,
    sign,
    zoneHours,
    zoneMinutes,
    request = '',
    status,
  ] = match
  const monthIndex = months.indexOf(month)
  const offset = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000 * (sign === '-' ? -1 : 1)
  const local = Date.UTC(Number(year), monthIndex, Number(day), Number(hour), Number(minute), Number(second))
  // A date counts when the calendar has it: 31 February, hour 99 and the year 15 come back as something else.
  const written = `${year}-${String(monthIndex + 1).padStart(2, '0')}-${day}T${hour}:${minute}:${second}`
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 19) !== written) return null
  const at = local - offset
  if (at < earliest || Math.abs(offset) > widestOffsetMs) return null
  const [method = '', target = ''] = request.split(' ')
  if (target === '') return null
  return {
    address,
    at,
    method,
    target,
    status: Number(status),
    referrer: unescape(match[13] ?? ''),
    userAgent: match[14] === undefined ? null : unescape(match[14]),
  }
}

/** Endings of what a page loads rather than of pages. */
const asset =
  /\.(?:css|js|mjs|map|png|jpe?g|gif|svg|webp|avif|ico|bmp|tiff?|woff2?|ttf|otf|eot|mp[34]|m4[av]|webm|og[gv]|wav|avi|mov|zip|gz|bz2|xz|tar|rar|7z|iso|exe|dmg|deb|rpm|jar|swf|json|xml|rss|atom|txt|csv|pdf|wasm)$/i
/** Addresses that programs ask for. */
const machine = /^\/(?:(?:favicon\.ico|robots\.txt|xmlrpc\.php)$|\.well-known\/)/i
/** Feeds by their path (`/feed`, `/blog/feed/`, `/feed/atom/`) or by their query (`?flav=rss20`, `?feed=rss2`). */
const feedPath = /\/(?:feed|rss|atom)\/?$|\/feed\/(?:rss2?|rdf|atom)\/?$/i
const feedQuery = /[?&](?:feed|flav|format|type)=(?:feed|rss|atom|rdf)[\d.]*(?:[&#]|$)/i

/** Whether a request is a page view: a page that was asked for with GET and was delivered. */
export function isPageView(request: LoggedRequest): boolean {
  const path = request.target.split(/[?#]/, 1)[0] ?? ''
  if (request.method !== 'GET' || !path.startsWith('/')) return false
  const delivered = (request.status >= 200 && request.status < 300) || request.status === 304
  const isFeed = feedPath.test(path) || feedQuery.test(request.target)
  return delivered && !asset.test(path) && !machine.test(path) && !isFeed
}
