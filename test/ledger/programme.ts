import type { Target } from './client.ts'

/** What the senders send to, in zones that are far apart. */
export const origin = 'https://ledger.example'
export const targets: readonly (Target & { readonly timeZone: string })[] = [
  {
    deployment: 'ledger-helsinki',
    key: 'pk_ledger_helsinki',
    timeZone: 'Europe/Helsinki',
  },
  {
    deployment: 'ledger-los-angeles',
    key: 'pk_ledger_los_angeles',
    timeZone: 'America/Los_Angeles',
  },
]
export const catalogue = {
  organisations: [{ id: 'ledger', name: 'Ledger', type: 'test', country: 'FI' }],
  apps: [{ id: 'ledger', name: 'Ledger' }],
  deployments: targets.map(({ deployment, key, timeZone }) => ({
    id: deployment,
    app: 'ledger',
    organisation: 'ledger',
    time_zone: timeZone,
    origins: [origin],
    mode: 'exempt',
    keys: [key],
  })),
}
