import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { storeGroup } from '@footfall/consumer/consume'
import { PipelineError } from '@footfall/contracts/errors'
import { topics } from '@footfall/contracts/event'
import { openEmbeddedEventLog } from '@footfall/event-log/embedded'
import { addImportSecrets } from '@footfall/jobs/import/secrets'
import { queues } from '@footfall/jobs/start'
import { openEmbeddedJobQueue } from '@footfall/job-queue/embedded'
import { openRegistry } from '@footfall/registry/registry'
import { keepStore } from '@footfall/standalone/keep-store'
import { movedFile, writeMoved } from '@footfall/standalone/moved-file'
import { copyTables, emptyTables, sumTables, type TableSum } from '@footfall/store/copy-store'
import { queryLedger } from '@footfall/store/metrics'
import { migrate, migrateNew, migrationsDirectory } from '@footfall/store/migrate'
import { noteMove, readMoves } from '@footfall/store/moves'
import type { Store } from '@footfall/store/open'
import { readQuery } from '@footfall/store/queries'
import { createLogger } from '@footfall/telemetry/logger'
import { withEmbeddedStore } from '../embedded-store.ts'
import { importSecretsFile } from '../services/job-parts.ts'
import { connectLog, connectStore } from '../services/servers.ts'
import { carrySalts } from './carry-salts.ts'
import { consumeRest } from './consume-rest.ts'
import { compareRegistries, copyRegistry } from './copy-registry.ts'

export interface MoveOptions {
  /** The standalone data directory. */
  readonly from: string
  /** Of the installation it goes to, as its services have it. */
  readonly config: Config
  readonly say: (line: string) => void
}

/** What stands in the way of a move: work that somebody asked for, and that only the old place can end. */
async function refuseOpenJobs(directory: string): Promise<void> {
  if (!existsSync(directory)) return
  const queue = await openEmbeddedJobQueue({ directory })
  try {
    const jobs = await queue.list(queues.work, 10_000)
    const open = jobs.filter(({ state }) => state === 'waiting' || state === 'running').length
    if (open > 0)
      throw new PipelineError(
        'CONFLICT',
        `${open} ${open === 1 ? 'job waits' : 'jobs wait'} in ${directory} (an import, an erasure): start standalone there, let them end, and stop it.`,
      )
  } finally {
    await queue.close()
  }
}

/**
 * Makes sure that a store can take a move: it is empty, or has a copy that was cut off, which is emptied.
 * @param logId of the installation's own log: nothing of it is ever emptied.
 */
async function prepareTarget(target: Store, logId: string, isCutOff: boolean): Promise<void> {
  const [own] = await target.query<{ rows: string }>(readQuery('rows-of-log'), { log_id: logId })
  if (Number(own?.rows) > 0)
    throw new PipelineError(
      'CONFLICT',
      'The store has events of the installation itself: a data directory is moved into an empty one.',
    )
  if (isCutOff) await emptyTables(target)
  const full = [...(await sumTables(target))].filter(([, { rows }]) => rows > 0).map(([table]) => table)
  if (full.length > 0)
    throw new PipelineError(
      'CONFLICT',
      `The store has rows already (${full.join(', ')}): a data directory is moved into an empty one.`,
    )
}

function compareSums(
  before: ReadonlyMap<string, TableSum>,
  after: ReadonlyMap<string, TableSum>,
  say: MoveOptions['say'],
): void {
  const differing = [...before].filter(([table, { rows, checksum }]) => {
    const copy = after.get(table)
    const isEqual = copy?.rows === rows && copy.checksum === checksum
    if (rows > 0 || !isEqual)
      say(`  ${table.padEnd(16)} ${rows} rows, ${copy?.rows ?? 0} there${isEqual ? '' : ': DIFFERENT'}`)
    return !isEqual
  })
  if (differing.length > 0)
    throw new PipelineError(
      'CONFLICT',
      `The copy differs in ${differing.map(([table]) => table).join(', ')}. Does something of the installation run but its ingests? Stop it, and run this again: the copy begins anew.`,
    )
}

/**
 * Takes a standalone data directory over into a distributed installation: what its log still holds is consumed, then the
 * registry, the salts of the day and every row of the store go there, ids included, and both sides are compared. Run
 * again after whatever cut it off; until it has ended the consumers and jobs of the installation wait.
 * @throws INVALID_REQUEST, CONFLICT, LOG_LOCKED; what log and store throw.
 */
export async function moveStandalone({ from, config, say }: MoveOptions): Promise<void> {
  const [logDirectory, storeDirectory] = [join(from, 'log'), join(from, 'store')]
  for (const directory of [logDirectory, storeDirectory])
    if (!existsSync(directory))
      throw new PipelineError('INVALID_REQUEST', `${from} is no standalone data directory: there is no ${directory}.`)
  const closers: (() => Promise<unknown>)[] = []
  const logger = createLogger(config.LOG_LEVEL)
  try {
    const target = connectStore(config)
    closers.push(() => target.close())
    const source = await openEmbeddedEventLog({ directory: logDirectory, minFreeBytes: 0 })
    closers.push(() => source.close())
    await refuseOpenJobs(join(from, 'jobs'))
    const log = await connectLog({ config, logger })
    closers.push(() => log.close())
    await migrateNew(target, migrationsDirectory())
    const moves = await readMoves(target)
    const known = moves.find((move) => move.logId === source.logId)
    const to = `${config.eventLogUrl} and ${new URL(config.storeUrl).host}`
    const note = (startedAt: number, finishedAt: number | null): Promise<void> =>
      writeMoved(from, {
        to,
        started_at: new Date(startedAt).toISOString(),
        finished_at: finishedAt === null ? null : new Date(finishedAt).toISOString(),
      })
    if (known?.finishedAt) {
      await note(known.startedAt, known.finishedAt)
      return say(`${from} was moved there at ${new Date(known.finishedAt).toISOString()} already.`)
    }
    if ((await log.members(topics.events, storeGroup)) > 0)
      throw new PipelineError(
        'CONFLICT',
        'Consumers of the installation run: stop them, and its jobs, until this is done.',
      )
    if (moves.some((move) => move !== known))
      throw new PipelineError('CONFLICT', 'Another data directory was moved into that store, or is being.')
    await prepareTarget(target, log.logId, known !== undefined)

    const registryRest = await compareRegistries(source, log)
    const secrets = importSecretsFile(config)
    const added = await addImportSecrets(secrets, join(from, 'import-secrets.json'))
    if (added > 0) say(`The secrets of imports are in ${secrets}: console and jobs need that file.`)

    const startedAt = known?.startedAt ?? Date.now()
    // Here first: from now on nothing is added to the directory.
    await note(startedAt, null)
    await noteMove(target, { logId: source.logId, startedAt, finishedAt: null })
    const embedded = { storeUrl: `embedded:${storeDirectory}`, STORE_MEMORY_MB: config.STORE_MEMORY_MB }
    const { isCarried } = await withEmbeddedStore(embedded, join(from, 'backups'), async (store) => {
      await migrate(store, migrationsDirectory(), { backup: (name) => keepStore(store, join(from, 'backups'), name) })
      await consumeRest(config, { log: source, store, logger })
      say('The log of the directory is consumed to its end.')

      await copyRegistry(registryRest, log)
      say(`The registry is there: ${registryRest.total} changes.`)
      const registry = await openRegistry({ log: source, snapshotFile: join(from, 'registry.json') })
      const salts = await carrySalts(from, registry, config).finally(() => registry.close())
      say(`The salts are ${salts.where}.`)
      say('Ingests may take beacons now: what they take waits for the consumers.')

      await store.command('OPTIMIZE TABLE refusals FINAL')
      await copyTables(store, target, (table) => say(`  copying ${table}`))
      compareSums(await sumTables(store), await sumTables(target), say)
      const ledger = await queryLedger(target)
      say(
        `Ledger: ${ledger.read} accepted = ${ledger.stored} stored + ${ledger.failed} failed + ${ledger.deduplicated} repeated + ${ledger.expired} expired + ${ledger.erased} erased${ledger.difference === 0 ? '.' : `, and ${ledger.difference} that it cannot explain, here as there: report it.`}`,
      )
      return salts
    })
    const finishedAt = Date.now()
    await noteMove(target, { logId: source.logId, startedAt, finishedAt })
    await note(startedAt, finishedAt)
    // Nobody here ends their days any more.
    if (isCarried) await rm(join(from, 'salts.json'), { force: true })
    say(
      `Done. Start the rest of the installation. ${from} is not needed any more; ${movedFile(from)} keeps it from being started.`,
    )
  } finally {
    // What it came to is known by now.
    for (const closer of closers.reverse()) await closer().catch(() => undefined)
  }
}
