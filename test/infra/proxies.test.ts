import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { expect, test } from 'vitest'

const read = (path: string): string => readFileSync(join(findRoot(), path), 'utf8')
const routes = readdirSync(join(findRoot(), 'services/ingest/src/routes')).flatMap((file) =>
  [...read(`services/ingest/src/routes/${file}`).matchAll(/\.(?:get|post|all)(?:<.*>)?\('(\/[^']+)'/g)].map(
    ([, path]) => path!.replace(/:\w+/, 'some'),
  ),
)

test('every address of ingest leads there through nginx and Caddy, on its own host and on the app’s', () => {
  expect(routes).toEqual(expect.arrayContaining(['/v1/events', '/v1/pixel.gif', '/privacy/some', '/footfall.json']))
  const paths = [...routes, '/footfall.js', '/footfall-0.1.0-abcdef.js']
  const nginx = ['nginx.conf', 'nginx-first-party.conf'].map((file) => read(`infra/proxy/${file}`))
  for (const [index, prefix] of ['', '/footfall'].entries()) {
    const location = new RegExp(/location ~ (\S+) \{/.exec(nginx[index]!)![1]!)
    const globs = [...read('infra/proxy/Caddyfile').matchAll(/^\t@\w+ path (.*)$/gm)]
      .map(([, list]) => list!.split(' '))
      .find(([first]) => first!.startsWith(`${prefix}/v1/`))!
      .map((glob) => new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '.*')}$`))
    for (const path of paths) {
      expect(location.test(prefix + path), `nginx: ${prefix}${path}`).toBe(true)
      expect(
        globs.some((glob) => glob.test(prefix + path)),
        `Caddy: ${prefix}${path}`,
      ).toBe(true)
    }
  }
})
