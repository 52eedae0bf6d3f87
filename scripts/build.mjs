// Bundles what runs into dist/: one file a process, our code inside, packages outside.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Leaves every package import outside the bundle except our own workspaces. */
const externalPackages = {
  name: 'external-packages',
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, (args) =>
      args.kind === 'entry-point' || args.path.startsWith('@footfall/')
        ? undefined
        : { path: args.path, external: true },
    )
  },
}

const entries = {
  footfall: 'services/cli/src/main.ts',
  'embedded-clickhouse': 'services/embedded-clickhouse/src/main.ts',
  bench: 'bench/main.ts',
  generator: 'bench/generator.ts',
  'accept-server': 'bench/accept-server.ts',
  'engine-process': 'bench/engine-process.ts',
  'ledger-check': 'test/ledger/main.ts',
  'distributed-ledger-check': 'test/ledger/distributed-main.ts',
  'upgrade-fixture': 'test/upgrades/make-fixture.ts',
  'grafana-boards': 'dashboards/src/grafana/main.ts',
}
const present = Object.entries(entries).filter(([, file]) => existsSync(join(root, file)))

await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(present),
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  plugins: [externalPackages],
  logLevel: 'warning',
})
if (existsSync(join(root, 'shared/sdk/build.mjs'))) await import(join(root, 'shared/sdk/build.mjs'))
