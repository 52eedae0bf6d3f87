import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { refuseOtherMethods } from './method-not-allowed.ts'

/** The SDK as it is served: an alias that follows updates, and the same bytes under an address that never changes. */
export interface ServedSdk {
  readonly script: Buffer
  /** `/footfall-<version>-<hash>.js` */
  readonly immutablePath: string
  /** Subresource integrity, `sha384-…`. */
  readonly integrity: string
  readonly version: string
}

/** Reads the built SDK. @throws when it was not built (`npm run build`). */
export function readSdk(root: string): ServedSdk {
  const directory = join(root, 'shared/sdk/dist')
  const file = join(directory, 'footfall.js')
  if (!existsSync(file)) throw new Error(`The SDK is not built: run "npm run build" in ${root}.`)
  const script = readFileSync(file)
  const { version } = JSON.parse(readFileSync(join(root, 'shared/sdk/package.json'), 'utf8')) as { version: string }
  const digest = createHash('sha256').update(script).digest('hex').slice(0, 12)
  return {
    script,
    immutablePath: `/footfall-${version}-${digest}.js`,
    integrity: `sha384-${createHash('sha384').update(script).digest('base64')}`,
    version,
  }
}

/** `/footfall.js` (an hour in caches), the immutable address (a year), and `/footfall.json` which names both. */
export function sdkRoute(app: FastifyInstance, sdk: ServedSdk): void {
  const etag = `"${sdk.integrity.slice(7, 39)}"`
  const send = (path: string, cache: string): void => {
    app.get(path, async (request, reply) => {
      void reply
        .header('cache-control', cache)
        .header('etag', etag)
        .header('access-control-allow-origin', '*')
        .header('cross-origin-resource-policy', 'cross-origin')
        .header('x-content-type-options', 'nosniff')
        .type('text/javascript; charset=utf-8')
      if (request.headers['if-none-match'] === etag) return reply.code(304).send()
      return reply.send(sdk.script)
    })
    refuseOtherMethods(app, path, ['GET', 'HEAD'])
  }
  send('/footfall.js', 'public, max-age=3600')
  send(sdk.immutablePath, 'public, max-age=31536000, immutable')
  app.get('/footfall.json', async (_request, reply) =>
    reply
      .header('access-control-allow-origin', '*')
      .header('cache-control', 'public, max-age=300')
      .send({ version: sdk.version, path: sdk.immutablePath, integrity: sdk.integrity }),
  )
}
