/** Random bytes as hex. */
export const randomHex = (bytes: number): string =>
  [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => (byte + 256).toString(16).slice(1)).join('')

/** UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then randomness. */
export const uuidv7 = (now: number): string =>
  `${now.toString(16).padStart(12, '0')}7${randomHex(2).slice(1)}a${randomHex(8).slice(1)}`.replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
