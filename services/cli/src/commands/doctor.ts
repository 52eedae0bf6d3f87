import { existsSync } from 'node:fs'
import { access, constants, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '@footfall/config/config'
import { verifyLog } from '@footfall/event-log/verify'
import type { Command } from 'commander'
import { examinePage, type Finding } from '../examine-page.ts'
import { findServer, type Server } from '../server.ts'

const signs = { ok: 'ok     ', warning: 'warning', error: 'ERROR  ' } as const
const leastFreeBytes = 1e9

/** Finds a proxy that is not trusted: most beacons come from its address. Only who takes them in can tell. */
export async function examineSenders(server: Pick<Server, 'request'>): Promise<Finding[]> {
  const { share, of } = await server
    .request<{ share: number | null; of?: number }>('GET', '/api/v1/sender-share')
    // What is wrong with the server was said before.
    .catch(() => ({ share: null, of: 0 }))
  if (share === null)
    return [
      {
        level: 'ok',
        what: 'whether a proxy hides the visitors’ addresses is not known here',
        todo: 'See that TRUSTED_PROXIES of whoever takes in beacons names the proxy before it.',
      },
    ]
  if (of === undefined || of < 100 || share <= 0.9) return []
  return [
    {
      level: 'warning',
      what: `${Math.round(share * 100)} % of the last ${of} beacons came from one address`,
      todo: 'A proxy stands before the server: name its address in TRUSTED_PROXIES, or all its visitors are one.',
    },
  ]
}

async function examineInstallation(config: Config, server: Server | null): Promise<Finding[]> {
  const findings: Finding[] = []
  const say = (level: Finding['level'], what: string, todo?: string): void =>
    void findings.push({ level, what, ...(todo === undefined ? {} : { todo }) })
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const recent = major > 20 || (major === 20 && minor >= 19)
  say(recent ? 'ok' : 'error', `Node ${process.versions.node}`, recent ? undefined : 'Install Node 20.19 or later.')
  try {
    await import('chdb')
    say('ok', 'the embedded engine loads')
  } catch {
    say(
      'error',
      'the embedded engine cannot be loaded on this system',
      'It runs on Linux with glibc and on macOS, x64 and arm64; run npm ci again without --omit=optional.',
    )
  }
  if (!existsSync(config.dataDirectory)) {
    say('ok', `${config.dataDirectory} is not there yet: the first start makes it`)
    return findings
  }
  try {
    await access(config.dataDirectory, constants.R_OK | constants.W_OK)
    const { bavail, bsize } = await statfs(config.dataDirectory)
    const free = bavail * bsize
    say(
      free > leastFreeBytes ? 'ok' : 'warning',
      `${(free / 1e9).toFixed(1)} GB free in ${config.dataDirectory}`,
      free > leastFreeBytes ? undefined : 'Free some space: a full disk makes ingest answer 503.',
    )
  } catch {
    say('error', `${config.dataDirectory} cannot be read and written`, 'Give this user the directory.')
  }
  for (const file of [config.adminTokenFile, join(config.dataDirectory, 'salts.json')]) {
    const found = await stat(file).catch(() => null)
    if (found && (found.mode & 0o077) !== 0) say('error', `${file} can be read by others`, `chmod 600 ${file}`)
  }
  if (!server) {
    say('warning', 'no server runs on this data directory', 'npx footfall start')
    try {
      await verifyLog(config.eventLogUrl.replace(/^file:/, ''))
      say('ok', 'every frame of the event log has its checksum')
    } catch (error) {
      say(
        'error',
        `the event log: ${error instanceof Error ? error.message : String(error)}`,
        'Restore the log from a backup.',
      )
    }
    return findings
  }
  const response = await fetch(`${server.url}/readyz`)
  say(
    response.ok ? 'ok' : 'error',
    response.ok ? `the server answers at ${server.url}` : `the server is not ready: ${await response.text()}`,
  )
  const skew = Math.abs(Date.parse(response.headers.get('date') ?? '') - Date.now())
  if (skew > 60_000)
    say(
      'warning',
      `the clocks of server and command differ by ${Math.round(skew / 1000)} s`,
      'Let both follow a time server.',
    )
  try {
    const ledger = await server.request<{ difference: number; in_log: number; accepted: number }>(
      'GET',
      '/api/v1/ledger',
    )
    say(
      ledger.difference === 0 ? 'ok' : 'error',
      `the ledger: ${ledger.accepted} accepted, difference ${ledger.difference}`,
      ledger.difference === 0 ? undefined : 'Keep a copy of the data directory and report this.',
    )
    say(ledger.in_log < 100_000 ? 'ok' : 'warning', `${ledger.in_log} events wait in the log`)
  } catch (error) {
    say(
      'error',
      `the store does not answer: ${error instanceof Error ? error.message : String(error)}`,
      'Accepted events are safe in the log; see the server’s own log.',
    )
  }
  return [...findings, ...(await examineSenders(server))]
}

export function doctorCommand(program: Command, config: () => Config): void {
  program
    .command('doctor')
    .description('look for what is wrong with this installation, or with a page that carries the tag')
    .argument('[url]', 'address of a page of an app')
    .action(async (url: string | undefined) => {
      const read = config()
      const server = await findServer(read)
      const findings = url === undefined ? await examineInstallation(read, server) : await examinePage(url, server)
      for (const { level, what, todo } of findings)
        console.log(`${signs[level]}  ${what}${todo ? `\n         → ${todo}` : ''}`)
      if (findings.some(({ level }) => level === 'error')) process.exitCode = 1
    })
}
