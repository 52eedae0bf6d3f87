import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/**
 * The classic schema of Grafana 11.6, which newer versions migrate by themselves; the SDK writes its own, which older ones
 * do not read.
 */
const schemaVersion = 41

const sortKeys = (value: Json): Json =>
  Array.isArray(value)
    ? value.map(sortKeys)
    : value !== null && typeof value === 'object'
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map((name) => [name, sortKeys(value[name]!)]),
        )
      : value

/**
 * A board as it is provisioned, the same bytes each time: the schema that every supported Grafana reads, links and
 * switches in sight instead of tucked into a menu, keys in order. Nothing is noted on the time axis: the store knows of no releases.
 */
export function normalise(dashboard: Dashboard): string {
  const board = JSON.parse(JSON.stringify(dashboard)) as { [name: string]: Json }
  const links = (board.links ?? []) as { [name: string]: Json }[]
  for (const link of links) delete link.placement
  // The one of the installation: Grafana numbers and versions boards by itself.
  for (const name of ['id', 'version', 'revision']) delete board[name]
  return `${JSON.stringify(sortKeys({ ...board, annotations: { list: [] }, schemaVersion }), null, 2)}\n`
}
