import type { Registry } from '@footfall/registry/registry'

export const firstAppId = 'my-first-app'

/** Puts "My first app" into an empty registry: pages of this machine, whatever their port, are counted. */
export async function ensureFirstApp(registry: Registry, options: { publicUrl: string; demo: boolean }): Promise<void> {
  if (options.demo || registry.state().deployments.size > 0) return
  const origin = new URL(options.publicUrl).origin
  await registry.apply(
    {
      organisations: [{ id: 'my-organisation', name: 'My organisation', type: 'city', country: 'EU' }],
      apps: [{ id: firstAppId, name: 'My first app' }],
      deployments: [
        {
          id: firstAppId,
          app: firstAppId,
          organisation: 'my-organisation',
          name: 'My first app',
          url: options.publicUrl,
          time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
          origins: [...new Set(['http://localhost', origin])],
          mode: 'exempt',
        },
      ],
    },
    { actor: 'system' },
  )
}
