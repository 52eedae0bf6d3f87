/** Control characters, and the marks that turn the direction of text around in a table of ours. */

const invisible = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const email = /[^\s@/]{1,64}@[^\s@/]{1,190}\.[^\s@/]{2,}/g
/** Eight digits or more, with the separators that people write in telephone numbers. */
const phone = /\+?\d[\d ().-]{6,}\d/g

/** Text that may be kept: well-formed, normalised, without control characters, e-mail addresses or telephone numbers. */
export function cleanText(text: string): string {
  if (text === '') return text
  let clean = text.toWellFormed().normalize('NFC').replace(invisible, '')
  if (clean.includes('@')) clean = clean.replace(email, ':email')
  if (/\d{3}/.test(clean))
    clean = clean.replace(phone, (match) => (match.replace(/\D/g, '').length >= 8 ? ':number' : match))
  return clean
}
