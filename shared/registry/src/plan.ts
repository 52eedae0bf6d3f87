import { isDeepStrictEqual } from 'node:util'
import { PipelineError } from '@footfall/contracts/errors'
import { catalogueSchema, type Catalogue, type Change } from '@footfall/contracts/registry'
import { current, type RegistryState, type Versions } from './state.ts'

const mostMistakes = 50

export interface CataloguePlan {
  readonly changes: Change[]
  readonly generatedKeys: { deployment: string; key: string }[]
  /** Entities of the file that are as they were. */
  readonly unchanged: number
}

const refuse = (mistakes: readonly string[]): never => {
  const shown = mistakes.slice(0, mostMistakes)
  const more = mistakes.length > shown.length ? ` … and ${mistakes.length - shown.length} more` : ''
  throw new PipelineError(
    'INVALID_REQUEST',
    `The catalogue has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}: ${shown.join('; ')}${more}`,
  )
}

const pathOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('') || 'catalogue'

/** Mistakes that only show when entities are seen together. */
function findContradictions(state: RegistryState, catalogue: Catalogue): string[] {
  const mistakes: string[] = []
  const parents = new Map([...state.organisations].map(([id, entity]) => [id, current(entity).part_of]))
  for (const { id, part_of } of catalogue.organisations) parents.set(id, part_of)
  const apps = new Set([...state.apps.keys(), ...catalogue.apps.map(({ id }) => id)])
  const deployments = new Set([...state.deployments.keys(), ...catalogue.deployments.map(({ id }) => id)])

  for (const kind of ['organisations', 'apps', 'deployments'] as const) {
    const seen = new Set<string>()
    catalogue[kind].forEach(({ id }, index) => {
      if (seen.has(id)) mistakes.push(`${kind}[${index}].id: "${id}" stands twice in the file`)
      seen.add(id)
    })
  }
  catalogue.organisations.forEach(({ id, part_of }, index) => {
    if (part_of === undefined) return
    if (!parents.has(part_of)) mistakes.push(`organisations[${index}].part_of: there is no organisation "${part_of}"`)
    const seen = new Set([id])
    for (let parent: string | undefined = part_of; parent !== undefined; parent = parents.get(parent)) {
      if (seen.has(parent)) {
        mistakes.push(`organisations[${index}].part_of: "${id}" would be a part of itself`)
        break
      }
      seen.add(parent)
    }
  })
  const ownerOfKey = new Map([...state.keys.values()].map((key) => [key.id, key.deployment]))
  catalogue.deployments.forEach((deployment, index) => {
    const at = `deployments[${index}]`
    if (!apps.has(deployment.app)) mistakes.push(`${at}.app: there is no app "${deployment.app}"`)
    if (!parents.has(deployment.organisation))
      mistakes.push(`${at}.organisation: there is no organisation "${deployment.organisation}"`)
    if (deployment.borrowed_from !== undefined && !deployments.has(deployment.borrowed_from)) {
      mistakes.push(`${at}.borrowed_from: there is no deployment "${deployment.borrowed_from}"`)
    }
    if (deployment.borrowed_from === deployment.id)
      mistakes.push(`${at}.borrowed_from: a deployment cannot come from itself`)
    if (deployment.launched_on && deployment.retired_on && deployment.retired_on < deployment.launched_on) {
      mistakes.push(`${at}.retired_on: is before launched_on`)
    }
    deployment.keys?.forEach((key, keyIndex) => {
      const owner = ownerOfKey.get(key)
      if (owner !== undefined && owner !== deployment.id)
        mistakes.push(`${at}.keys[${keyIndex}]: is the key of another deployment`)
      ownerOfKey.set(key, deployment.id)
    })
  })
  return mistakes
}

/**
 * Compares a catalogue with the registry: what has to change so that the registry says what the file says. Pure; the
 * same file twice changes nothing. What the file does not name stays: removal needs an explicit retire.
 * @throws INVALID_REQUEST that lists every mistake with its path; nothing is changed then.
 */
export function planCatalogue(
  state: RegistryState,
  input: unknown,
  options: { readonly newKey: () => string; readonly now: number },
): CataloguePlan {
  const parsed = catalogueSchema.safeParse(input)
  if (!parsed.success) return refuse(parsed.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`))
  const catalogue = parsed.data
  const mistakes = findContradictions(state, catalogue)
  if (mistakes.length > 0) return refuse(mistakes)

  const changes: Change[] = []
  const generatedKeys: CataloguePlan['generatedKeys'] = []
  let unchanged = 0
  const differs = <Entity extends { id: string }>(known: Versions<Entity> | undefined, value: Entity): boolean => {
    if (known && known.retiredAt === null && isDeepStrictEqual(current(known), value)) {
      unchanged++
      return false
    }
    return true
  }
  for (const value of catalogue.organisations)
    if (differs(state.organisations.get(value.id), value)) changes.push({ kind: 'organisation', value })
  for (const value of catalogue.apps) if (differs(state.apps.get(value.id), value)) changes.push({ kind: 'app', value })
  for (const { keys, ...value } of catalogue.deployments) {
    if (differs(state.deployments.get(value.id), value)) changes.push({ kind: 'deployment', value })
    const addKey = (id: string): void => {
      changes.push({
        kind: 'key',
        value: { id, deployment: value.id, kind: 'browser', created_at: options.now, revoked_at: null },
      })
    }
    if (keys) {
      for (const key of keys) if (!state.keys.has(key)) addKey(key)
    } else if (![...state.keys.values()].some((key) => key.deployment === value.id && key.kind === 'browser')) {
      const key = options.newKey()
      generatedKeys.push({ deployment: value.id, key })
      addKey(key)
    }
  }
  return { changes, generatedKeys, unchanged }
}
