import { isIP } from 'node:net'

/** The eight groups of an IPv6 address, however it is written; null when it is none. */
export function ipv6Groups(address: string): number[] | null {
  if (isIP(address) !== 6) return null
  const text = address.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_dotted, ...bytes: string[]) => {
    const [a, b, c, d] = bytes.slice(0, 4).map(Number) as [number, number, number, number]
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = [], tail = []] = text.split('::').map((side) => side.split(':').filter(Boolean))
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail].map((group) =>
    Number.parseInt(group, 16),
  )
}

/** One spelling for each address: an IPv4 address that came as IPv6 (`::ffff:…`) as IPv4, the groups of others in full. */
export function plainAddress(address: string): string {
  const groups = address.includes(':') ? ipv6Groups(address) : null
  if (!groups) return address
  const [high = 0, low = 0] = groups.slice(6)
  return groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
    ? [high >> 8, high & 255, low >> 8, low & 255].join('.')
    : groups.map((group) => group.toString(16)).join(':')
}

/** What one sender can choose freely counts as one: the /64 that networks hand out, or the whole IPv4 address. */
export function senderOf(address: string): string {
  return ipv6Groups(address)?.slice(0, 4).join(':') ?? address
}
