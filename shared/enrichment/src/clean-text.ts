import { isIPv6 } from 'node:net'

/** Control characters, marks that turn the direction of text around in a table of ours, and what has no width at all. */
const invisible = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g

/** Well-formed, normalised text without invisible characters. */
export const tidyText = (text: string): string => text.toWellFormed().replace(invisible, '').normalize('NFC')

const year = String.raw`(?:19|20)\d\d`
const month = String.raw`(?:0?[1-9]|1[0-2])`
const dayOfMonth = String.raw`(?:0?[1-9]|[12]\d|3[01])`
/** Numbers that are long and name nobody: dates, school years, decimal fractions. */
const honestNumbers = new RegExp(
  [
    String.raw`(?<!\d)${year}([-.])${month}\1${dayOfMonth}(?!\d)`,
    String.raw`(?<!\d)${dayOfMonth}([-.])${month}\2${year}(?!\d)`,
    String.raw`(?<!\d)${year}-${year}(?!\d)`,
    String.raw`^(?:0|[1-9]\d{0,5})\.\d+$`,
  ].join('|'),
  'g',
)

/**
 * Whether a word of letters, digits, - and _ was drawn rather than written: it is hexadecimal, has digits in two places
 * of a long part, or changes between small letters, capitals and digits at more than every third sign (drawn from 62
 * signs: at 0.6 of them). Slugs, compounds and names in camel case change where a word begins.
 */
function isDrawn(word: string): boolean {
  if (/(?<![a-z\d])(?=\d*[a-f])[\da-f]{16,}(?![a-z\d])/i.test(word)) return true
  if (!/[A-Z\d]/.test(word)) return false
  let signs = 0
  let changes = 0
  let inPart = 0
  let digitRuns = 0
  let last: 'digit' | 'capital' | 'letter' | null = null
  for (const sign of word) {
    if (sign === '-' || sign === '_') {
      inPart = digitRuns = 0
      last = null
      continue
    }
    const kind = sign <= '9' ? 'digit' : sign <= 'Z' ? 'capital' : 'letter'
    signs++
    inPart++
    const begins = inPart === 2 && last === 'capital' && kind === 'letter'
    if (last !== null && last !== kind && !begins) changes++
    if (kind === 'digit' && last !== 'digit') digitRuns++
    if (digitRuns > 1 && inPart >= 16) return true
    last = kind
  }
  return signs >= 16 && changes * 3 >= signs
}

interface Rule {
  /** `segment`: only where the text is a whole segment of a path, or the whole value of a parameter. */
  readonly in: 'text' | 'segment'
  /** Quick to test; where it is not, there is nothing to find. */
  readonly needs: RegExp
  readonly find: RegExp
  readonly becomes: string
  /** Whether what was found is what it looks like. */
  readonly if?: (found: string) => boolean
}

/** What identifies a person or one thing of theirs, and what is kept in its place. In this order. */
const rules: readonly Rule[] = [
  { in: 'segment', needs: /\d{5}/, find: /^\d{5,}$/, becomes: ':id' },
  { in: 'segment', needs: /\.\d{4}/, find: /^[-+]?\d{1,3}\.\d{4,}$/, becomes: ':place' },
  {
    in: 'text',
    needs: /@/,
    find: /[^\s/\\<>()[\]{}"',;:=&?#|]+/g,
    becomes: ':email',
    if: (word) => /[^@]@+[^@]/.test(word),
  },
  // A JSON web token: its first part is always an object in base64url.
  {
    in: 'text',
    needs: /eyJ[\w-]{13}/,
    find: /(?<!\w)eyJ[\w-]{13,}\.[\w-]{5,}(?:\.[\w-]*)?/g,
    becomes: ':id',
  },
  {
    in: 'text',
    needs: /[\w-]{16}/,
    find: /(?<!\w)[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}(?!\w)/gi,
    becomes: ':id',
  },
  { in: 'text', needs: /[\w-]{16}/, find: /[\w-]{16,}/g, becomes: ':id', if: isDrawn },
  {
    in: 'text',
    needs: /:[\da-fA-F]*:/,
    find: /(?<![\w:])(?=[\da-f]{0,4}:[\da-f]{0,4}:)[\da-f:]{3,45}(?:\.\d{1,3}){0,3}(?!\w)/gi,
    becomes: ':ip',
    if: (found) => /\d/.test(found) && isIPv6(found.replace(/(?<!:):$/, '')),
  },
  {
    in: 'text',
    needs: /\d\.\d{1,3}\.\d/,
    find: /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\.?\d)/g,
    becomes: ':ip',
  },
  // Four decimals of a degree are eleven metres.
  {
    in: 'text',
    needs: /\.\d{4}/,
    find: /(?<![\d.])[-+]?\d{1,3}\.\d{4,}(?: ?[,;] ?| )[-+]?\d{1,3}\.\d{4,}/g,
    becomes: ':place',
  },
  // The number of an order, a case, a pupil: six digits and more that hang on letters. Postcodes have five.
  { in: 'text', needs: /\d{6}/, find: /(?<=[\p{L}#][-_.]?)\d{6,}|\d{6,}(?=[-_.]?\p{L})/gu, becomes: ':id' },
  // Eight digits or more, with the separators that people write in telephone numbers.
  {
    in: 'text',
    needs: /\d[\d ().-]{6}/,
    find: /\+?\d[\d ().-]{6,}\d/g,
    becomes: ':number',
    if: (found) => found.replace(honestNumbers, '').replace(/\D/g, '').length >= 8,
  },
]
const suspicious = new RegExp([...new Set(rules.map(({ needs }) => needs.source))].join('|'))

/** Replaces what identifies, until nothing is left: what replaces one thing may bring another to light. */
export function hideIdentifying(text: string, where: Rule['in']): string {
  let hidden = text
  for (let before = ''; before !== hidden && suspicious.test(hidden);) {
    before = hidden
    for (const rule of rules) {
      if ((rule.in === 'segment' && where !== 'segment') || !rule.needs.test(hidden)) continue
      hidden = hidden.replace(rule.find, (found) => (rule.if?.(found) === false ? found : rule.becomes))
    }
    // A mark that followed what was hidden now stands on the last letter of what replaces it.
    if (before !== hidden) hidden = hidden.normalize('NFC')
  }
  return hidden
}

const ascii = /^[\x20-\x7e]*$/
/** ASCII without digits, : and @; every rule needs one of these or a word of sixteen signs. */
const harmless = /^[\x20-\x2f\x3b-\x3f\x41-\x7e]*$/
const longWord = /[\w-]{16}/

/**
 * Free text that may be kept: well-formed, normalised, without control characters and without what identifies (e-mail
 * and IP addresses, telephone numbers, coordinates, tokens, numbers of cases). Cleaning it again changes nothing.
 */
export function cleanText(text: string): string {
  // Most texts are short words of ours: they cost a look.
  if (harmless.test(text) && (text.length < 16 || !longWord.test(text))) return text
  return hideIdentifying(ascii.test(text) ? text : tidyText(text), 'text')
}

/**
 * Text that a program wrote to name a thing of its own, such as a version or the id of a dataset: well-formed,
 * normalised, without control characters. Its numbers and ids are what it is for and stay, also in `app@1.2.3`; e-mail
 * addresses do not. Cleaning it again changes nothing.
 */
export function cleanLabel(text: string): string {
  const tidy = ascii.test(text) ? text : tidyText(text)
  if (!tidy.includes('@')) return tidy
  return tidy.replace(/\S+/g, (word) => (/[^@]@[^@]*\.[a-z]{2}/i.test(word) ? ':email' : word))
}
