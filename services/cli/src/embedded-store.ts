import type { Config } from '@footfall/config/config'
import { superviseEmbeddedClickHouse } from '@footfall/embedded-clickhouse/supervise'
import { openStore, type Store } from '@footfall/store/open'

/** Works on a store's directory with an engine of its own, which is gone afterwards. */
export async function withEmbeddedStore<Result>(
  config: Pick<Config, 'storeUrl' | 'STORE_MEMORY_MB'>,
  backupsDirectory: string,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  const engine = await superviseEmbeddedClickHouse({
    directory: config.storeUrl.replace(/^embedded:/, ''),
    backupsDirectory,
    memoryBytes: config.STORE_MEMORY_MB * 1_000_000,
  })
  const store = openStore({ url: `${engine.url}/footfall`, user: engine.user, password: engine.password })
  try {
    return await work(store)
  } finally {
    await store.close()
    await engine.close()
  }
}
