// Builds the script tag and the ESM file; fails when the script outgrows its budget.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const directory = dirname(fileURLToPath(import.meta.url))
const maxGzipBytes = 1536
const common = {
  bundle: true,
  minify: true,
  target: 'es2021',
  mangleProps: /^_/,
  legalComments: 'none',
  tsconfigRaw: '{}',
  logLevel: 'warning',
}

mkdirSync(join(directory, 'dist'), { recursive: true })
await build({
  ...common,
  entryPoints: [join(directory, 'src/script.ts')],
  format: 'iife',
  outfile: join(directory, 'dist/footfall.js'),
})
await build({
  ...common,
  entryPoints: [join(directory, 'src/footfall.ts')],
  format: 'esm',
  outfile: join(directory, 'dist/footfall.esm.js'),
})

const script = readFileSync(join(directory, 'dist/footfall.js'))
const gzip = gzipSync(script, { level: 9 }).length
const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
writeFileSync(
  join(directory, 'dist/manifest.json'),
  `${JSON.stringify({ version, bytes: script.length, gzip, integrity: `sha384-${createHash('sha384').update(script).digest('base64')}` }, null, 2)}\n`,
)
if (gzip > maxGzipBytes) {
  console.error(`The SDK has ${gzip} bytes after gzip; ${maxGzipBytes} is its budget.`)
  process.exit(1)
}
console.log(`The SDK has ${gzip} of ${maxGzipBytes} bytes after gzip.`)
