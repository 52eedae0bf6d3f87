import { createLocalClock } from '@footfall/enrichment/local-time'
import type { Registry } from '@footfall/registry/registry'
import type { SaltedDeployment } from './salts.ts'

/** What salts have to know of the deployments in use. @returns a function of the moment, in Unix milliseconds. */
export function readSaltedDeployments(registry: Pick<Registry, 'deployments'>): (at: number) => SaltedDeployment[] {
  const localTime = createLocalClock()
  return (at) =>
    registry.deployments().map(({ deployment, timeZoneAt, registeredAt }) => {
      const today = localTime(timeZoneAt(at), at).day
      const isNew = localTime(timeZoneAt(registeredAt), registeredAt).day === today
      return { id: deployment.id, today, isNew }
    })
}
