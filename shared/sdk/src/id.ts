/** UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds (their first four are 0 until 2527), then randomness. */
export const uuidv7 = (): string => {
  const time = `0${Date.now().toString(16)}`
  const hex = [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => (byte + 256).toString(16).slice(1)).join('')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(1, 4)}-a${hex.slice(5, 8)}-${hex.slice(8)}`
}
