import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cleanLabel, cleanText } from '../src/clean-text.ts'
import { cleanPage, createPageCleaner } from '../src/url-hygiene.ts'

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'
const uuid = '0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000'

/** The same in a segment of a path as in free text. */
const hiddenEverywhere = [
  ['jane@x.org', ':email'],
  ['jane@localhost', ':email'],
  ['jane.doe+news@mail.example.org', ':email'],
  [jwt, ':id'],
  [jwt.split('.').slice(0, 2).join('.'), ':id'],
  [uuid, ':id'],
  ['case-0190AAAA-bbbb-7ccc-8ddd-eeeeffff0000', 'case-:id'],
  ['aZ3kQ9xT7bLm2WpR', ':id'],
  ['aBcDeFgHiJkLmNoP', ':id'],
  ['V1StGXR8_Z5jdHi6B-myT', ':id'],
  ['k3j9x2m4p8q1z7w5', ':id'],
  ['deadbeefdeadbeef', ':id'],
  ['reset-deadbeefdeadbeef0', ':id'],
  ['order-1234567', 'order-:id'],
  ['A1234567', 'A:id'],
  ['1234567-order', ':id-order'],
  ['8.8.8.8', ':ip'],
  ['2001:db8::1', ':ip'],
  ['fe80:0:0:0:1:2:3:4', ':ip'],
  ['60.16985,24.93837', ':place'],
  ['-33.86785, 151.20732', ':place'],
  ['+358 40 123 4567', ':number'],
  ['040-1234567', ':number'],
  ['06 12 34 56 78', ':number'],
] as const

const keptEverywhere = [
  '2024-01-15',
  '15.1.2024',
  '2025.11.24.1',
  '2024-2025',
  'budget-2024-01-15',
  'room-12-2024-01-15',
  'how-to-apply-for-a-permit',
  'how-to-apply-for-a-permit-in-2024',
  'How-To-Apply-For-A-New-Permit-2024',
  'covid19-vaccination-2024-round-2',
  'ParkingPermitApplication2024',
  'getUserProfileSettings',
  'lastentarhahakemuslomake2024',
  'iso-27001',
  'espoo-02770',
  '12:30:45',
  'std::vector',
  '1.2.3',
  '@helsinki',
  '0.12',
  'Käyttöohje 2024–2025',
  ':id',
  ':email and :number',
] as const

describe('what identifies goes', () => {
  test.each(hiddenEverywhere)('%s becomes %s', (text, hidden) => {
    expect(cleanText(text)).toBe(hidden)
    expect(cleanText(`it was ${text} then`)).toBe(`it was ${hidden} then`)
    expect(cleanPage(`https://a.example/x/${encodeURIComponent(text)}/y`, [])?.path).toBe(`/x/${hidden}/y`)
  })

  test.each([
    ['jane%2540x.org', ':email'],
    ['jane%252540x.org', ':email'],
    ['jane%40x.org%', ':email'],
    ['jane%40x%FF.org', ':email'],
    ['jane%E2%80%8B%40x.org', ':email'],
    ['12345', ':id'],
    ['60.16985', ':place'],
    ['1%E2%80%8E2345', ':id'],
    ['%25252525252525252540', ':id'],
    ['x'.repeat(257), ':id'],
  ])('as a segment, %s becomes %s', (segment, hidden) => {
    expect(cleanPage(`https://a.example/${segment}`, [])?.path).toBe(`/${hidden}`)
  })

  test('as the value of a parameter that is kept', () => {
    expect(
      cleanPage('https://a.example/s?next=%2Fa%2Fb&mail=jane%252540x.org&at=60.16985', ['next', 'mail', 'at']),
    ).toEqual({
      host: 'a.example',
      path: '/s?next=%2Fa%2Fb&mail=%3Aemail&at=%3Aplace',
    })
  })
})

describe('what names a page or a thing stays', () => {
  test.each(keptEverywhere)('%s', (text) => {
    expect(cleanText(text)).toBe(text)
    expect(cleanText(`it was ${text} then`)).toBe(`it was ${text} then`)
    expect(cleanPage(`https://a.example/x/${encodeURIComponent(text)}/y`, [])?.path).toBe(`/x/${text}/y`)
  })

  test.each(['/news/2024-01-15/title', '/2024/01/15', '/year/2026', '/'])('the path %s', (path) => {
    expect(cleanPage(`https://a.example${path}`, [])?.path).toBe(path)
  })

  test.each(['0.3333333333333333', '650000', 'in 2026, 12 of 340'])('the text %s', (text) => {
    expect(cleanText(text)).toBe(text)
  })

  test.each(['2025.11.24.1', '1.20251124.3', '20251124.12', 'app@2.0.1', uuid, 'build-1234567', '1.2.3.4'])(
    'the label %s',
    (label) => {
      expect(cleanLabel(label)).toBe(label)
    },
  )
})

test('a label loses control characters and e-mail addresses', () => {
  expect(cleanLabel('1.0\u0000 by anna@example.org')).toBe('1.0 by :email')
})

/** Pieces that rules look at, in any order and encoding. */
const pieces = fc
  .array(
    fc.oneof(
      fc.constantFrom(...hiddenEverywhere.map(([text]) => text), ...keptEverywhere),
      fc.constantFrom(
        '@',
        '%',
        '%40',
        '%2540',
        '%2F',
        '%E4',
        '.',
        '..',
        ':',
        '-',
        ' ',
        '+',
        '/',
        '\\',
        '?',
        '&',
        '#',
        '1',
        '%4\u200e0',
      ),
      fc.constantFrom('e\u200e\u0301', '\ud83d', '\u200b', '\u202e', '\u212a', 'ä'),
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.stringMatching(/^[\d ().-]{1,14}$/),
      fc.stringMatching(/^[\w.@:-]{1,20}$/),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

describe('cleaning again changes nothing', () => {
  test('of a text or a label', () => {
    fc.assert(
      fc.property(pieces, (text) => {
        for (const clean of [cleanText, cleanLabel]) expect(clean(clean(text))).toBe(clean(text))
      }),
      { numRuns: 3_000 },
    )
  })

  test('of a page', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 5 }), pieces, (segments, value) => {
        const address = `https://a.example/${segments.join('/')}?q=${encodeURIComponent(value.toWellFormed())}`
        const page = cleanPage(address, ['q'])!
        expect(cleanPage(`https://${page.host}${page.path}`, ['q'])).toEqual(page)
      }),
      { numRuns: 3_000 },
    )
  })

  test('where a mark follows what was hidden', () => {
    const text = cleanText('60.16985,24.93837\u0301')
    expect(text).toBe(':plac\u00e9')
    expect(cleanText(text)).toBe(text)
    const page = cleanPage('https://a.example/60.16985,24.93837%CC%81', [])!
    expect(cleanPage(`https://${page.host}${page.path}`, [])).toEqual(page)
  })

  test('of a path that is too long for the store', () => {
    const page = cleanPage(`https://a.example/${'%2Fabc/'.repeat(400)}?q=1`, ['q'])!
    expect(page.path.length).toBeLessThanOrEqual(1024)
    expect(cleanPage(`https://a.example${page.path}`, ['q'])).toEqual(page)
  })
})

test('a cleaner that remembers answers as one that does not, for each list of parameters its own', () => {
  const remembering = createPageCleaner()
  const lists = [[], ['q'], ['q', 'r']]
  for (let round = 0; round < 2; round++)
    for (let page = 0; page < 10_050; page++) {
      const address = page % 100 === 0 ? `no address ${page}` : `https://a.example/p/${page % 997}?q=${page}&r=x`
      const list = lists[page % 3]!
      expect(remembering(address, list)).toEqual(cleanPage(address, list))
    }
  const address = 'https://a.example/s?q=1'
  expect(lists.map((list) => remembering(address, list)?.path)).toEqual(['/s', '/s?q=1', '/s?q=1'])
  expect(remembering('q https://a.example/s?q=1', [])).toBeNull()
  const long = `https://a.example/${'a/'.repeat(200)}`
  expect(remembering(long, [])).toEqual(cleanPage(long, []))
})
