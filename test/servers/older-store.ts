import { readdirSync } from 'node:fs'
import { migrationsDirectory } from '@footfall/store/migrate'
import type { Store } from '@footfall/store/open'

/** Every migration of this version, the last of which an older store lacks. */
export const migrationIds = readdirSync(migrationsDirectory())
  .map((file) => file.replace('.sql', ''))
  .sort()

/** Makes a store one that holds something and was left by a version without the last migration. */
export async function makeOlder(store: Store): Promise<void> {
  await store.command(
    "INSERT INTO ledger (log_id, `end`, deployment, read, deduplicated) VALUES ('older', 1, 'a', 1, 1)",
  )
  await store.command('ALTER TABLE migrations DELETE WHERE id = (SELECT max(id) FROM migrations)')
}
