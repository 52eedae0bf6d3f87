/** UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds (their first four are 0 until 2527), then randomness. */
export const uuidv7 = (): string =>
  `0${Date.now().toString(16)}-7xxx-axxx-xxxxxxxxxxxx`
    .replace(/.{8}/, '$&-')
    .replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0]! % 16).toString(16))
