import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import type { FastifyInstance } from 'fastify'
import type { AssetPaths } from './render/layout.ts'

const files = {
  style: ['console.css', 'text/css; charset=utf-8'],
  live: ['live.js', 'text/javascript; charset=utf-8'],
  start: ['start.js', 'text/javascript; charset=utf-8'],
  copy: ['copy.js', 'text/javascript; charset=utf-8'],
  icon: ['icon.svg', 'image/svg+xml'],
} as const

/** Serves style, scripts and icon under addresses that change with their content, so that they may be kept for ever. */
export function serveAssets(app: FastifyInstance): AssetPaths {
  const directory = join(findRoot(), 'services/console/assets')
  const serve = ([name, type]: readonly [string, string]): string => {
    const content = readFileSync(join(directory, name))
    const hash = createHash('sha256').update(content).digest('hex').slice(0, 12)
    const address = `/assets/${name.replace('.', `-${hash}.`)}`
    app.get(address, async (_request, reply) =>
      reply.type(type).header('cache-control', 'public, max-age=31536000, immutable').send(content),
    )
    return address
  }
  return {
    style: serve(files.style),
    live: serve(files.live),
    start: serve(files.start),
    copy: serve(files.copy),
    icon: serve(files.icon),
  }
}
