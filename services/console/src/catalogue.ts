import type { Deployment } from '@footfall/contracts/registry'
import type { Registry } from '@footfall/registry/registry'
import { current } from '@footfall/registry/state'

/** A deployment as pages show it: with the names around it and the key that its pages send. */
export interface ListedDeployment extends Deployment {
  readonly title: string
  readonly appName: string
  readonly organisationName: string
  /** The newest public key in use; null when there is none. */
  readonly key: string | null
  readonly retired: boolean
}

/** Every deployment ever registered, by name. */
export function listDeployments(registry: Registry): ListedDeployment[] {
  const state = registry.state()
  const nameOf = (map: ReadonlyMap<string, { versions: readonly { value: { name: string } }[] }>, id: string): string =>
    map.get(id)?.versions.at(-1)?.value.name ?? id
  const keys = new Map<string, string>()
  for (const key of state.keys.values()) {
    if (key.kind === 'browser' && key.revoked_at === null) keys.set(key.deployment, key.id)
  }
  return [...state.deployments.values()]
    .map((entity) => {
      const deployment = current(entity)
      const appName = nameOf(state.apps, deployment.app)
      const organisationName = nameOf(state.organisations, deployment.organisation)
      return {
        ...deployment,
        appName,
        organisationName,
        title: deployment.name ?? `${appName}, ${organisationName}`,
        key: keys.get(deployment.id) ?? null,
        retired: entity.retiredAt !== null,
      }
    })
    .sort((left, right) => left.title.localeCompare(right.title, 'en'))
}

/** The script tag of a deployment: all that a page needs. Without its mode the script would count without asking. */
export const snippetOf = (publicUrl: string, key: string, mode: Deployment['mode']): string =>
  `<script defer src="${publicUrl}/footfall.js" data-key="${key}"${mode === 'exempt' ? '' : ` data-mode="${mode}"`}></script>`
