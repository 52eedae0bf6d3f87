import { StringDecoder } from 'node:string_decoder'

/** Longer lines are no log lines; what stands beyond is let go, so a file without newlines needs no memory. */
const longestLine = 20_000

/** Cuts bytes into lines. What follows the last newline is held back: it may be half written. */
export interface LineCutter {
  cut(bytes: Buffer): string[]
  /** What was held back; '' when everything ended in a newline. */
  rest(): string
}

/** Lines end in LF or CRLF; text is UTF-8. */
export function createLineCutter(): LineCutter {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return {
    cut(bytes) {
      const lines = decoder.write(bytes).split('\n')
      lines[0] = (rest + lines[0]!).slice(0, longestLine)
      rest = lines.pop()!.slice(0, longestLine)
      return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line).slice(0, longestLine))
    },
    rest: () => rest,
  }
}
