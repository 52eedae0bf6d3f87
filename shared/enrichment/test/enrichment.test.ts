import { describe, expect, test } from 'vitest'
import { createAgentClassifier } from '../src/agent-classes.ts'
import { cleanText } from '../src/clean-text.ts'
import { createLocalClock, shiftDay } from '../src/local-time.ts'
import { cleanPage, cleanReferrer } from '../src/url-hygiene.ts'

describe('the address of a page', () => {
  test.each([
    ['https://App.Example/A/b?x=1#y', 'app.example', '/A/b'],
    ['http://app.example:8080', 'app.example:8080', '/'],
    ['https://user:secret@app.example/x', 'app.example', '/x'],
    ['https://a.example/report/1234567/edit', 'a.example', '/report/:id/edit'],
    ['https://a.example/year/2026', 'a.example', '/year/2026'],
    ['https://a.example/0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000', 'a.example', '/:id'],
    ['https://a.example/f/deadbeefdeadbeef', 'a.example', '/f/:id'],
    ['https://a.example/u/anna%40example.org', 'a.example', '/u/:email'],
    ['https://a.example/call/+358%2040%20123%204567', 'a.example', '/call/:number'],
    ['https://a.example/K%C3%A4ytt%C3%B6', 'a.example', '/Käyttö'],
    ['https://a.example/a%2Fb%3Fc', 'a.example', '/a%2Fb%3Fc'],
  ])('%s', (address, host, path) => {
    expect(cleanPage(address, [])).toEqual({ host, path })
  })
  test('keeps the parameters that were asked for, cleaned, and no other', () => {
    expect(cleanPage('https://a.example/s?q=secret&tab=map&mail=a@b.org', ['tab', 'mail'])?.path).toBe(
      '/s?tab=map&mail=%3Aemail',
    )
  })
  test.each(['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'nothing', ''])(
    '%s is none',
    (address) => {
      expect(cleanPage(address, [])).toBeNull()
    },
  )
  test.each([
    ['https://www.search.example/q?x=1', 'search.example'],
    ['https://app.example/other', ''],
    ['https://www.app.example/other', ''],
    ['android-app://com.example', ''],
    ['nonsense', ''],
  ])('a referrer %s is kept as "%s"', (referrer, kept) => {
    expect(cleanReferrer(referrer, 'app.example')).toBe(kept)
  })
})

test.each([
  ['plain text', 'plain text'],
  ['write to anna.b@mail.example.org now', 'write to :email now'],
  ['call 040 123 4567', 'call :number'],
  ['in 2026, 12 of 340', 'in 2026, 12 of 340'],
  ['a\u0000b\u202ec\td', 'abcd'],
  ['\ud800', '\ufffd'],
  ['e\u0301', 'é'],
])('text %j becomes %j', (text, clean) => {
  expect(cleanText(text)).toBe(clean)
  expect(cleanText(clean)).toBe(clean)
})

describe('the local day and hour', () => {
  const clock = createLocalClock()
  test.each([
    ['UTC', '2026-01-31T23:59:59.999Z', '2026-01-31', 23],
    ['Europe/Helsinki', '2026-01-31T22:00:00Z', '2026-02-01', 0],
    ['America/Los_Angeles', '2026-01-01T07:59:00Z', '2025-12-31', 23],
    ['Asia/Kathmandu', '2026-01-01T18:14:00Z', '2026-01-01', 23],
    ['Asia/Kathmandu', '2026-01-01T18:15:00Z', '2026-01-02', 0],
    ['Europe/Berlin', '2026-03-29T00:59:00Z', '2026-03-29', 1],
    ['Europe/Berlin', '2026-03-29T01:00:00Z', '2026-03-29', 3],
    ['Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25', 2],
    ['Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-25', 2],
    ['Australia/Lord_Howe', '2026-04-04T15:00:00Z', '2026-04-05', 1],
  ])('%s at %s', (zone, at, day, hour) => {
    expect(clock(zone, Date.parse(at))).toEqual({ day, hour })
  })
  test('days shift over months, years and leap days', () => {
    expect([shiftDay('2026-03-01', -1), shiftDay('2028-02-28', 1), shiftDay('2025-12-31', 1)]).toEqual([
      '2026-02-28',
      '2028-02-29',
      '2026-01-01',
    ])
  })
})

test('a user agent becomes classes; programs are bots', () => {
  const classify = createAgentClassifier()
  expect(
    classify(
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
    ),
  ).toEqual({ device: 'desktop', browser: 'Chrome', system: 'Windows', bot: false })
  expect(
    classify(
      'Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
    ),
  ).toMatchObject({ device: 'mobile', system: 'Android', bot: false })
  expect(classify('curl/8.0')).toMatchObject({ device: 'bot', bot: true })
  expect(classify('')).toMatchObject({ device: 'other', bot: false })
})
