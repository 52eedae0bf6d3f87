import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** Who sent a request, and whether a proxy that we trust said so. */
export interface ClientAddress {
  readonly address: string
  readonly viaTrustedProxy: boolean
}

const plain = (address: string): string => (address.startsWith('::ffff:') ? address.slice(7) : address)

/**
 * Reads the sender's address. `X-Forwarded-For` counts only when the connection comes from a trusted block, and is read
 * from the right: the last address that is not a trusted proxy is the sender; what stands left of it is hearsay.
 */
export function createAddressReader(trusted: readonly string[]): (request: IncomingMessage) => ClientAddress {
  const blocks = new BlockList()
  for (const block of trusted) {
    const [address = '', bits] = block.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    blocks.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  const isTrusted = (address: string): boolean => {
    const version = isIP(address)
    return version !== 0 && blocks.check(address, version === 6 ? 'ipv6' : 'ipv4')
  }
  if (trusted.length === 0) {
    return (request) => ({ address: plain(request.socket.remoteAddress ?? ''), viaTrustedProxy: false })
  }
  return (request) => {
    const peer = plain(request.socket.remoteAddress ?? '')
    if (!isTrusted(peer)) return { address: peer, viaTrustedProxy: false }
    const header = request.headers['x-forwarded-for']
    const hops = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').map((hop) => plain(hop.trim()))
    for (let index = hops.length - 1; index >= 0; index--) {
      const hop = hops[index]!
      if (isIP(hop) === 0) break
      if (!isTrusted(hop)) return { address: hop, viaTrustedProxy: true }
    }
    return { address: peer, viaTrustedProxy: true }
  }
}
