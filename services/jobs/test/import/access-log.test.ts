import { describe, expect, test } from 'vitest'
import { isPageView, parseAccessLogLine } from '../../src/import/access-log.ts'

const common = '192.0.2.7 - - [10/Mar/2026:10:00:01 +0200] "GET /a HTTP/1.1" 200 512'
const combined = `${common} "https://search.example/" "Mozilla/5.0 (X11)"`

describe('a line of an access log', () => {
  test('is read in the common and the combined format, with the time of its zone', () => {
    const at = Date.UTC(2026, 2, 10, 8, 0, 1)
    expect(parseAccessLogLine(common)).toMatchObject({ at, target: '/a', status: 200, userAgent: null })
    expect(parseAccessLogLine(combined)).toMatchObject({ at, userAgent: 'Mozilla/5.0 (X11)' })
    expect(parseAccessLogLine(`${common} "-" "-"`)).toMatchObject({ referrer: '', userAgent: '' })
    expect(parseAccessLogLine(`${combined} "198.51.100.1"`)).toMatchObject({ userAgent: 'Mozilla/5.0 (X11)' })
  })

  test('that is cut is none, wherever it was cut after the bytes', () => {
    for (let end = common.length + 2; end < combined.length; end++)
      expect(parseAccessLogLine(combined.slice(0, end)), combined.slice(0, end)).toBeNull()
    expect(parseAccessLogLine(`${combined} 192.0.2.7 - - [10/Mar`)).toBeNull()
  })

  test.each([
    '31/Feb/2026:10:00:01 +0000',
    '10/Mar/2026:99:00:01 +0000',
    '10/Mar/2026:10:61:01 +0000',
    '10/Mai/2026:10:00:01 +0000',
    '00/Mar/2026:10:00:01 +0000',
    '01/Jan/1970:00:00:00 +0000',
    '31/Dec/1994:23:59:59 +0000',
    '01/Jan/0015:00:00:00 +0000',
    '10/Mar/2026:10:00:01 +9900',
  ])('dated %s is none', (date) => {
    expect(parseAccessLogLine(combined.replace('10/Mar/2026:10:00:01 +0200', date))).toBeNull()
  })
})

test.each([
  ['/', true],
  ['/blog/', true],
  ['/feedback', true],
  ['/favicon-design', true],
  ['/search?q=rss', true],
  ['/style.css', false],
  ['/favicon.ico', false],
  ['/robots.txt', false],
  ['/.well-known/security', false],
  ['/feed', false],
  ['/blog/feed/', false],
  ['/blog/feed/atom/', false],
  ['/blog/?flav=rss20', false],
  ['/?feed=rss2&page=2', false],
])('%s is a page: %s', (target, expected) => {
  const request = parseAccessLogLine(combined.replace('/a', target))!
  expect(isPageView(request)).toBe(expected)
})
