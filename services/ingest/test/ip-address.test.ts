import { expect, test } from 'vitest'
import { createAddressReader } from '@footfall/http/client-address'
import { networkOf } from '../src/countries.ts'
import { ipv6Groups, plainAddress, senderOf } from '@footfall/http/ip-address'
import { createRateLimiter } from '../src/rate-limiter.ts'

test.each([
  ['::', [0, 0, 0, 0, 0, 0, 0, 0]],
  ['::1', [0, 0, 0, 0, 0, 0, 0, 1]],
  ['2a00::1', [0x2a00, 0, 0, 0, 0, 0, 0, 1]],
  ['1::', [1, 0, 0, 0, 0, 0, 0, 0]],
  ['1:2:3:4:5:6:7:8', [1, 2, 3, 4, 5, 6, 7, 8]],
  ['1:2:3:4:5:6:7::', [1, 2, 3, 4, 5, 6, 7, 0]],
  ['FE80::A%eth0', [0xfe80, 0, 0, 0, 0, 0, 0, 10]],
  ['64:ff9b::192.0.2.1', [0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x0201]],
  ['192.0.2.1', null],
  ['1:2', null],
  ['', null],
])('the groups of %s', (address, groups) => {
  expect(ipv6Groups(address)).toEqual(groups)
})

test('an address is one, however it is written', () => {
  for (const text of [
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '::FFFF:192.0.2.1',
    '::ffff:c000:201',
    '0:0:0:0:0:ffff:c000:201',
  ])
    expect(plainAddress(text)).toBe('192.0.2.1')
  expect(plainAddress('2A00:0::1')).toBe(plainAddress('2a00:0:0:0:0:0:0:1'))
})

test('fifty addresses of a /64 are one sender with one bucket, and the next /64 is another', () => {
  const limiter = createRateLimiter({ perKey: 1_000, perAddress: 1, now: () => 0 })
  const take = (address: string): number => limiter.take('key', address, 1).events
  const taken = Array.from({ length: 50 }, (_, index) => take(`2a00:1:2:3::${index.toString(16)}`))
  expect(taken.reduce((sum, events) => sum + events, 0)).toBe(10)
  expect(take('2a00:1:2::3')).toBe(1)
  expect(senderOf('2a00::1')).toBe(senderOf('2a00:0:0:0:9::'))
})

test('a look-up of the country sees a network, never who is in it', () => {
  expect(['2a00::1', '2a00:1:2:3:4:5:6:7', '::1', '192.0.2.77', 'x'].map(networkOf)).toEqual([
    '2a00:0:0::',
    '2a00:1:2::',
    '0:0:0::',
    '192.0.2.0',
    null,
  ])
})

test('a bucket in use outlives 100,000 that came after it', () => {
  const limiter = createRateLimiter({ perKey: 1_000_000, perAddress: 1, now: () => 0 })
  const take = (address: string): number => limiter.take('key', address, 10).events
  expect(take('flood')).toBe(10)
  for (let other = 0; other < 100_000; other++) {
    take(`other ${other}`)
    if (other % 1_000 === 0) expect(take('flood')).toBe(0)
  }
})

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['203.0.113.7:4711', '203.0.113.7'],
  ['[2001:db8::7]:4711', plainAddress('2001:db8::7')],
  ['[2001:db8::7]', plainAddress('2001:db8::7')],
  ['2001:DB8::7', plainAddress('2001:db8::7')],
  ['::FFFF:203.0.113.7', '203.0.113.7'],
  ['198.51.100.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
  ['203.0.113.7:4711, 10.0.0.2:80,', '203.0.113.7'],
  [' ,203.0.113.7,, ', '203.0.113.7'],
  ['198.51.100.1, unknown', '10.0.0.1'],
  ['', '10.0.0.1'],
])('X-Forwarded-For "%s" from a trusted proxy names %s', (header, address) => {
  const read = createAddressReader(['10.0.0.0/8'])
  const request = { socket: { remoteAddress: '::ffff:10.0.0.1' }, headers: { 'x-forwarded-for': header } }
  expect(read(request as never)).toEqual({ address, viaTrustedProxy: true })
})

test('X-Forwarded-For from anybody else is hearsay', () => {
  const read = createAddressReader(['10.0.0.0/8'])
  const request = { socket: { remoteAddress: '192.0.2.1' }, headers: { 'x-forwarded-for': '203.0.113.7' } }
  expect(read(request as never)).toEqual({ address: '192.0.2.1', viaTrustedProxy: false })
})
