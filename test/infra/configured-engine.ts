import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drainPending, Session } from 'chdb'
import { findRoot } from '@footfall/config/root'

export const infra = join(findRoot(), 'infra/clickhouse')
export const roles = ['footfall_writer', 'footfall_console', 'footfall_boards'] as const
export type Role = (typeof roles)[number]

export type Row = Record<string, unknown>

export interface ConfiguredEngine {
  query(sql: string): Promise<Row[]>
  close(): Promise<void>
}

/**
 * The engine with our files of server and users, as they stand: it does not start when one of them cannot be read. It has
 * one user, who may take any of our roles, under the profile given. What lets a reader change a setting rests on a switch
 * of the server that this engine does not read, and is left out.
 * @param hash of every user's password.
 * @throws when the files cannot be read; stderr says why.
 */
export function openConfiguredEngine(profile = 'default', hash = 'ab'.repeat(32)): ConfiguredEngine {
  const directory = mkdtempSync(join(tmpdir(), 'footfall-infra-'))
  const path = (name: string): string => join(directory, name)
  for (const name of ['data', 'config.d', 'users.d', 'backups']) mkdirSync(path(name))
  cpSync(join(infra, 'config.d'), path('config.d'), { recursive: true })
  cpSync(join(infra, 'low-memory.xml'), path('config.d/low-memory.xml'))
  writeFileSync(
    path('config.d/backups.xml'),
    readFileSync(join(infra, '../docker/clickhouse-backups.xml'), 'utf8').replace(
      '/var/lib/clickhouse/backups/',
      path('backups/'),
    ),
  )
  writeFileSync(
    path('users.d/footfall.xml'),
    readFileSync(join(infra, 'users.d/footfall.xml'), 'utf8').replace('<changeable_in_readonly/>', ''),
  )
  writeFileSync(
    path('users.xml'),
    `<clickhouse>
       <profiles><default/></profiles>
       <quotas><default/></quotas>
       <roles><see_users><grants><query>GRANT SHOW USERS, SHOW QUOTAS ON *.*</query></grants></see_users></roles>
       <users><default>
         <password/><networks><ip>::1</ip></networks><profile>${profile}</profile><quota>default</quota>
         <grants>${[...roles, 'see_users'].map((role) => `<query>GRANT ${role}</query>`).join('')}</grants>
       </default></users>
     </clickhouse>`,
  )
  writeFileSync(
    path('config.xml'),
    `<clickhouse><user_directories><users_xml><path>${path('users.xml')}</path></users_xml></user_directories></clickhouse>`,
  )
  for (const role of roles) process.env[`${role.toUpperCase()}_SHA256`] = hash
  const open = (): Session => {
    try {
      return new Session(path('data'), { connectionArgs: [`--config-file=${path('config.xml')}`] })
    } catch (error) {
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }
  const session = open()
  return {
    async query(sql) {
      const text = (await session.queryAsync(sql, { format: 'JSONEachRow' })).text().trim()
      return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Row)
    },
    async close() {
      await drainPending()
      session.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
