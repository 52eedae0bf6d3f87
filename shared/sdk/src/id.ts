/** UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds (their first four are 0 until 2527), then randomness. */
export const uuidv7 = (): string => {
  const hex = [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => (byte + 256).toString(16).slice(1)).join('')
  return `0${Date.now().toString(16)}7${hex.slice(1, 4)}a${hex.slice(5)}`.replace(
    /(.{8})(.{4})(.{4})(.{4})/,
    '$1-$2-$3-$4-',
  )
}
