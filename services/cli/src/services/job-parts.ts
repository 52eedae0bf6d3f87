import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '@footfall/config/config'
import type { Store } from '@footfall/store/open'
import { storedPositions } from '@footfall/store/positions'

const lookEveryMs = 250

/** Resolves once the store has every partition up to its offset, whoever consumes it. */
export const consumedToEnds =
  (store: Store, logId: string) =>
  async (ends: readonly number[], signal: AbortSignal): Promise<void> => {
    for (;;) {
      const positions = await storedPositions(store, logId)
      if (ends.every((end, partition) => (positions.get(partition) ?? 0) >= end)) return
      await sleep(lookEveryMs, undefined, { signal })
    }
  }

/** Console and jobs import lines: with one file of secrets between them an equal line has one id. */
export const importSecretsFile = (config: Config): string =>
  config.IMPORT_SECRETS_FILE ?? join(config.dataDirectory, 'import-secrets.json')
