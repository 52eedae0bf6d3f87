/** A request as an access log tells it. Address and agent stay in memory. */
export interface LoggedRequest {
  readonly address: string
  /** Unix milliseconds, to the second. */
  readonly at: number
  readonly method: string
  readonly target: string
  readonly status: number
  readonly referrer: string
  readonly userAgent: string
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
// address, two names, [day/month/year:time zone], "request", status, bytes, "referrer", "agent"; a quote inside is escaped.
const combined =
  /^(\S+) \S+ .*?\[(\d{2})\/(\w{3})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})\] "((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?/
const longestLine = 16_384

const unescape = (text: string): string => (text === '-' ? '' : text.replace(/\\(["\\])/g, '$1'))

/** Reads a line of an Apache or nginx combined (or common) log; null when it is none. */
export function parseAccessLogLine(line: string): LoggedRequest | null {
  if (line.length > longestLine) return null
  const match = combined.exec(line)
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
  if (monthIndex < 0) return null
  const offset = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000 * (sign === '-' ? -1 : 1)
  const at = Date.UTC(Number(year), monthIndex, Number(day), Number(hour), Number(minute), Number(second)) - offset
  const [method = '', target = ''] = request.split(' ')
  if (Number.isNaN(at) || target === '') return null
  return {
    address,
    at,
    method,
    target,
    status: Number(status),
    referrer: unescape(match[13] ?? ''),
    userAgent: unescape(match[14] ?? ''),
  }
}

/** Endings of what a page loads rather than of pages. */
const asset =
  /\.(?:css|js|mjs|map|png|jpe?g|gif|svg|webp|avif|ico|bmp|tiff?|woff2?|ttf|otf|eot|mp[34]|m4[av]|webm|og[gv]|wav|avi|mov|zip|gz|bz2|xz|tar|rar|7z|iso|exe|dmg|deb|rpm|jar|swf|json|xml|rss|atom|txt|csv|pdf|wasm)$/i
/** Addresses that programs ask for. */
const machine = /^\/(?:favicon|robots\.txt|\.well-known\/|feed\/?$|xmlrpc)/i

/** Whether a request is a page view: a page that was asked for with GET and was delivered. */
export function isPageView(request: LoggedRequest): boolean {
  const path = request.target.split(/[?#]/, 1)[0] ?? ''
  const delivered = (request.status >= 200 && request.status < 300) || request.status === 304
  return request.method === 'GET' && delivered && path.startsWith('/') && !asset.test(path) && !machine.test(path)
}
