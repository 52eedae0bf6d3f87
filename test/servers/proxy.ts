import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { freePort } from './free-port.ts'

/** A real proxy on loopback with one of our recipes. */
export interface Proxy {
  /** Footfall's own host. */
  readonly own: string
  /** An app's host, with Footfall below `/footfall/`. */
  readonly app: string
  /** All that it has written: logs, files and what it printed. */
  written(): string
  stop(): Promise<void>
}

export interface Upstreams {
  readonly ingests: readonly number[]
  readonly console: number
  readonly app: number
}

const recipe = (name: string): string => readFileSync(join(findRoot(), 'infra/proxy', name), 'utf8')
const local = (port: number): string => `127.0.0.1:${port}`

/** The recipe with what differs from host to host: ports, certificates, upstreams. */
function nginxFiles(directory: string, own: number, app: number, upstreams: Upstreams): Record<string, string> {
  const file = recipe('nginx.conf')
    .replace(/^ +server 127\.0\.0\.1:8081 (.*;)\n +server 127\.0\.0\.1:8082 .*$/m, (_servers, rest: string) =>
      upstreams.ingests.map((port) => `    server ${local(port)} ${rest}`).join('\n'),
    )
    .replace('server 127.0.0.1:8080;', `server ${local(upstreams.console)};`)
    .replace('listen 443 ssl;', `listen ${local(own)};`)
    .replace(/^ +ssl_certificate.*\n/gm, '')
  return {
    'footfall.conf': file,
    'first-party.conf': recipe('nginx-first-party.conf'),
    'nginx.conf': `
      daemon off; pid ${directory}/pid; error_log ${directory}/error.log info; worker_processes 1;
      events { worker_connections 64; }
      http {
        access_log ${directory}/access.log;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`).join('\n')}
        include ${directory}/footfall.conf;
        server {
          listen ${local(app)};
          include ${directory}/first-party.conf;
          location / { access_log off; proxy_pass http://${local(upstreams.app)}; }
        }
      }`,
  }
}

const caddyFiles = (app: number, upstreams: Upstreams): Record<string, string> => ({
  Caddyfile: `${recipe('Caddyfile').replace('{\n', '{\n\tadmin off\n')}
http://${local(app)} {
	import footfall_first_party
	handle {
		reverse_proxy ${local(upstreams.app)}
	}
}`,
})

/** @throws what to install, when it is not there. */
export async function startProxy(kind: 'nginx' | 'caddy', upstreams: Upstreams): Promise<Proxy> {
  const directory = mkdtempSync(join(tmpdir(), `footfall-${kind}-`))
  const [own, app] = [await freePort(), await freePort()]
  const files = kind === 'nginx' ? nginxFiles(directory, own, app, upstreams) : caddyFiles(app, upstreams)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  const child = spawn(
    kind,
    kind === 'nginx'
      ? ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')]
      : ['run', '--config', join(directory, 'Caddyfile'), '--adapter', 'caddyfile'],
    {
      env: {
        PATH: `${process.env.PATH}:/usr/sbin`,
        HOME: directory,
        SITE_ADDRESS: `http://${local(own)}`,
        INGEST_UPSTREAMS: upstreams.ingests.map(local).join(' '),
        CONSOLE_UPSTREAM: local(upstreams.console),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const written = (): string => {
    const logs = readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && !(entry.name in files))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    return [output, ...logs].join('\n')
  }
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new Error(`There is no ${kind}. On Debian: apt-get install -y nginx-light caddy`)
          : error,
      ),
    )
    child.once('exit', (code) => reject(new Error(`${kind} ended with ${code}: ${written()}`)))
  })
  ended.catch(() => undefined)
  const answers = async (): Promise<void> => {
    for (const url of [`http://${local(own)}/`, `http://${local(app)}/`])
      while (!(await fetch(url).catch(() => null))) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await Promise.race([answers(), ended])
  return {
    own: `http://${local(own)}`,
    app: `http://${local(app)}`,
    written,
    async stop() {
      const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
      child.kill('SIGTERM')
      await gone
      process.off('exit', killAtExit)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
