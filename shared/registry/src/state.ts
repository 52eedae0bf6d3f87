import type { App, Change, Deployment, Key, Organisation, RegistryRecord, Token } from '@footfall/contracts/registry'
import { nextMidnight, type LocalTime } from '@footfall/enrichment/local-time'

/** An entity over time: every version with the moment it began to hold. */
export interface Versions<Entity> {
  readonly versions: readonly { readonly validFrom: number; readonly value: Entity }[]
  /** Unix milliseconds; null while it is in use. */
  readonly retiredAt: number | null
}

/** What the registry's topic says, up to a revision. */
export interface RegistryState {
  readonly revision: number
  readonly organisations: ReadonlyMap<string, Versions<Organisation>>
  readonly apps: ReadonlyMap<string, Versions<App>>
  readonly deployments: ReadonlyMap<string, Versions<Deployment>>
  /** By id: the public key itself, or the SHA-256 of a server key. */
  readonly keys: ReadonlyMap<string, Key>
  readonly tokens: ReadonlyMap<string, Token>
}

export const emptyState: RegistryState = {
  revision: 0,
  organisations: new Map(),
  apps: new Map(),
  deployments: new Map(),
  keys: new Map(),
  tokens: new Map(),
}

/** The version that holds now. */
export const current = <Entity>(entity: Versions<Entity>): Entity => entity.versions.at(-1)!.value

/** The time zone of a deployment that was in force at an instant (Unix milliseconds). */
export type TimeZoneAt = (at: number) => string

/**
 * A changed time zone holds from the next midnight of the zone that was in force: no local day has two zones, and what
 * is counted again or late falls on the day it fell on before.
 */
export function readTimeZones(
  { versions }: Versions<Deployment>,
  localTime: (timeZone: string, at: number) => LocalTime,
): TimeZoneAt {
  const zones = [{ from: -Infinity, timeZone: versions[0]!.value.time_zone }]
  const timeZoneAt: TimeZoneAt = (at) => (zones.findLast(({ from }) => from <= at) ?? zones[0]!).timeZone
  for (const { validFrom, value } of versions) {
    const from =
      value.time_zone === zones.at(-1)!.timeZone ? Infinity : nextMidnight(localTime, timeZoneAt(validFrom), validFrom)
    // The last word before a midnight holds; those before it never did.
    while (zones.at(-1)!.from >= from) zones.pop()
    if (zones.at(-1)!.timeZone !== value.time_zone) zones.push({ from, timeZone: value.time_zone })
  }
  return timeZoneAt
}

const setVersion = <Entity extends { id: string }>(
  map: Map<string, Versions<Entity>>,
  value: Entity,
  at: number,
): void => {
  const known = map.get(value.id)
  // A retired entity that is set again is in use again.
  map.set(value.id, { versions: [...(known?.versions ?? []), { validFrom: at, value }], retiredAt: null })
}

/**
 * The state after a record. @throws RangeError when the record does not build on the state's revision.
 */
export function applyRecord(state: RegistryState, record: RegistryRecord): RegistryState {
  if (record.revision !== state.revision + 1) {
    throw new RangeError(`revision ${record.revision} does not follow ${state.revision}`)
  }
  const organisations = new Map(state.organisations)
  const apps = new Map(state.apps)
  const deployments = new Map(state.deployments)
  const keys = new Map(state.keys)
  const tokens = new Map(state.tokens)
  const apply = (change: Change): void => {
    switch (change.kind) {
      case 'organisation':
        return setVersion(organisations, change.value, record.at)
      case 'app':
        return setVersion(apps, change.value, record.at)
      case 'deployment':
        return setVersion(deployments, change.value, record.at)
      case 'key':
        return void keys.set(change.value.id, change.value)
      case 'token':
        return void tokens.set(change.value.id, change.value)
      case 'retire': {
        const map: Map<string, Versions<unknown>> = { organisation: organisations, app: apps, deployment: deployments }[
          change.value.entity
        ]
        const known = map.get(change.value.id)
        if (known) map.set(change.value.id, { ...known, retiredAt: record.at })
      }
    }
  }
  record.changes.forEach(apply)
  return { revision: record.revision, organisations, apps, deployments, keys, tokens }
}
