import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Reader, type CountryResponse } from 'mmdb-lib'
import type { Delivery } from './delivery.ts'
import { ipv6Groups } from '@footfall/http/ip-address'

/** Country of each IANA zone, as the platform's own locale data has them. */
function readZones(): ReadonlyMap<string, string> {
  const zones = new Map<string, string>()
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
  for (const first of letters) {
    for (const second of letters) {
      const region = first + second
      const locale = new Intl.Locale(`und-${region}`) as Intl.Locale & {
        timeZones?: string[]
        getTimeZones?: () => string[]
      }
      for (const zone of locale.getTimeZones?.() ?? locale.timeZones ?? [])
        if (!zones.has(zone)) zones.set(zone, region)
    }
  }
  return zones
}

/** Cuts an address to its network: the look-up needs no more (P6 of the privacy checklist). */
export function networkOf(address: string): string | null {
  if (isIP(address) === 4) return address.replace(/\.\d+$/, '.0')
  const groups = ipv6Groups(address)
  return (
    groups &&
    `${groups
      .slice(0, 3)
      .map((group) => group.toString(16))
      .join(':')}::`
  )
}

/**
 * Names the country of a sender, ISO 3166-1 alpha-2 or '': by a trusted proxy's header, else by the operator's
 * database, else by the browser's time zone.
 */
export function createCountryFinder(options: {
  header: string | null
  database: string | null
}): (delivery: Delivery) => string {
  const reader = options.database === null ? null : new Reader<CountryResponse>(readFileSync(options.database))
  const header = options.header?.toLowerCase() ?? null
  let zones: ReadonlyMap<string, string> | null = null
  return ({ headers, viaTrustedProxy, address, beacon }) => {
    if (header !== null && viaTrustedProxy) {
      const named = headers[header]
      // XX and T1 are Cloudflare's words for "unknown" and Tor.
      if (typeof named === 'string' && /^[A-Z]{2}$/.test(named) && named !== 'XX') return named
    }
    const network = reader && networkOf(address)
    if (reader && network) {
      const code = reader.get(network)?.country?.iso_code
      if (code) return code
    }
    if (beacon?.time_zone === undefined) return ''
    zones ??= readZones()
    return zones.get(beacon.time_zone) ?? ''
  }
}
