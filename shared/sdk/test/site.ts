import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { listen, shut, type Target } from './target.ts'

/** A city's own web site: the pages beside this file, on an origin of their own. */
export interface Site {
  readonly origin: string
  close(): Promise<void>
}

/**
 * Serves `pages/*.html` for GET and POST. `%HOST%`, `%KEY%`, `%PATH%` and `%INTEGRITY%` stand for the target's origin,
 * its key and the immutable script; `/strict/…` sends the tightest content security policy the SDK can live with.
 */
export async function startSite(target: Target): Promise<Site> {
  const words: Readonly<Record<string, string>> = {
    '%HOST%': target.url,
    '%KEY%': target.key,
    '%PATH%': target.sdk.immutablePath,
    '%INTEGRITY%': target.sdk.integrity,
  }
  const policy = `default-src 'none'; script-src ${target.url}; connect-src ${target.url}`
  const server = createServer((from, to) => {
    const { pathname } = new URL(from.url!, 'http://site')
    const name = pathname.split('/').at(-1)!
    from.resume()
    readFile(join(import.meta.dirname, 'pages', /^[a-z0-9-]+\.html$/.test(name) ? name : 'absent'), 'utf8').then(
      (page) => {
        const strict: Record<string, string> = pathname.startsWith('/strict/')
          ? { 'content-security-policy': policy }
          : {}
        to.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...strict })
        to.end(page.replace(/%[A-Z]+%/g, (word) => words[word] ?? word))
      },
      () => to.writeHead(404).end(),
    )
  })
  return { origin: await listen(server), close: () => shut(server) }
}
