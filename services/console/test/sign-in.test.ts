import { expect, test } from 'vitest'
import { isOwnForm, isPrefetch } from '../src/csrf.ts'
import { safeNext } from '../src/pages/sign-in.ts'
import { createSessions, sessionMs } from '../src/sessions.ts'
import { createSignInLinks } from '../src/sign-in-links.ts'
import { createThrottle } from '../src/throttle.ts'

const clock = () => {
  let at = 1_000_000
  return { now: () => at, pass: (ms: number) => void (at += ms) }
}

test('a sign-in link works once, within its time, and has 256 bits', () => {
  const time = clock()
  const links = createSignInLinks({ now: time.now, ttlMs: 1_000 })
  const nonce = links.issue()
  expect(Buffer.from(nonce, 'base64url')).toHaveLength(32)
  expect(links.redeem(`${nonce}x`)).toBe(false)
  expect(links.redeem(nonce)).toBe(true)
  expect(links.redeem(nonce)).toBe(false)
  const late = links.issue()
  time.pass(1_000)
  expect(links.redeem(late)).toBe(false)
})

test('a session ends with its time, with its token and with signing out', () => {
  const time = clock()
  const sessions = createSessions(time.now)
  const first = sessions.open('admin')
  expect(sessions.find(first)?.scope).toBe('admin')
  expect(sessions.find(undefined)).toBeNull()
  sessions.close(first)
  expect(sessions.find(first)).toBeNull()
  let holds = true
  const second = sessions.open('read', () => holds)
  expect(sessions.find(second)?.scope).toBe('read')
  holds = false
  expect(sessions.find(second)).toBeNull()
  const third = sessions.open('admin')
  time.pass(sessionMs)
  expect(sessions.find(third)).toBeNull()
})

test('wrong tokens make their address wait, and no other', () => {
  const time = clock()
  const throttle = createThrottle({ now: time.now, limit: 3, windowMs: 60_000 })
  for (let tries = 0; tries < 3; tries++) expect(throttle.fail('a')).toBe(0)
  expect(throttle.fail('a')).toBe(60)
  expect(throttle.fail('b')).toBe(0)
  time.pass(60_000)
  expect(throttle.fail('a')).toBe(0)
})

test.each([
  [{ host: 'x.example', origin: 'https://x.example' }, true],
  [{ host: 'inner:8080', origin: 'https://numbers.example' }, true],
  [{ host: 'x.example', origin: 'https://evil.example' }, false],
  [{ host: 'x.example', origin: 'null' }, false],
  [{ host: 'x.example', origin: 'https://x.example', 'sec-fetch-site': 'cross-site' }, false],
  [{ host: 'x.example', 'sec-fetch-site': 'same-origin' }, true],
  [{ host: 'x.example' }, false],
])('a form with headers %j is ours: %s', (headers, own) => {
  expect(isOwnForm({ headers }, 'https://numbers.example')).toBe(own)
})

test('looking at a link in advance is told from opening it', () => {
  expect(isPrefetch({ method: 'HEAD', headers: {} })).toBe(true)
  expect(isPrefetch({ method: 'GET', headers: { 'sec-purpose': 'prefetch;prerender' } })).toBe(true)
  expect(isPrefetch({ method: 'GET', headers: { purpose: 'prefetch' } })).toBe(true)
  expect(isPrefetch({ method: 'GET', headers: { accept: 'text/html' } })).toBe(false)
})

test.each([
  ['/deployments/x?from=1', '/deployments/x?from=1'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['/logout', '/'],
  [undefined, '/'],
])('after signing in, %s leads to %s', (next, expected) => {
  expect(safeNext(next)).toBe(expected)
})
