/** Text that is markup already: what `html` makes, and nothing else unless `raw` vouches for it. */
export interface Html {
  readonly markup: string
}

type Part = Html | string | number | null | undefined | false | readonly Part[]

const signs: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text for an element or a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => signs[sign]!)

function print(part: Part): string {
  if (part === null || part === undefined || part === false) return ''
  if (typeof part === 'string') return escapeHtml(part)
  if (typeof part === 'number') return String(part)
  if ('markup' in part) return part.markup
  return part.map(print).join('')
}

/** Markup from a template: every value is escaped unless it is markup; lists are joined; null and false are nothing. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html => ({
  markup: strings.reduce((text, string, index) => text + print(parts[index - 1]) + string),
})

/** Vouches for text that is markup from our own code, such as a drawn chart. */
export const raw = (markup: string): Html => ({ markup })
