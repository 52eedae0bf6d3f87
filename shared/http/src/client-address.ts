import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { plainAddress } from './ip-address.ts'

/** Who sent a request, and whether a proxy that we trust said so. */
export interface ClientAddress {
  readonly address: string
  readonly viaTrustedProxy: boolean
}

/** An entry as proxies write it: an address, alone or with a port, IPv6 then in brackets. */
const hopPattern = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+|(.+))$/

/** The addresses of `X-Forwarded-For` in order; what is none stays as it is. */
function readHops(header: string): string[] {
  return header.split(',').flatMap((entry) => {
    const [, bracketed, dotted, bare] = hopPattern.exec(entry.trim()) ?? []
    const hop = bracketed ?? dotted ?? bare
    return hop === undefined ? [] : [plainAddress(hop)]
  })
}

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
    return (request) => ({ address: plainAddress(request.socket.remoteAddress ?? ''), viaTrustedProxy: false })
  }
  return (request) => {
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    if (!isTrusted(peer)) return { address: peer, viaTrustedProxy: false }
    const header = request.headers['x-forwarded-for']
    const hops = readHops(Array.isArray(header) ? header.join(',') : (header ?? ''))
    for (let index = hops.length - 1; index >= 0; index--) {
      const hop = hops[index]!
      if (isIP(hop) === 0) break
      if (!isTrusted(hop)) return { address: hop, viaTrustedProxy: true }
    }
    return { address: peer, viaTrustedProxy: true }
  }
}
