import { defineConfig } from 'vitest/config'

// chDB ends worker threads with a segfault: every suite runs in forked processes.
const shared = { pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 60_000 }
const suites = ['shared/*/test', 'services/*/test', 'dashboards/test', 'test']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          // On two cores vitest takes one, and most tests wait for an engine or a disk.
          maxWorkers: 2,
          include: suites.map((dir) => `${dir}/**/*.test.ts`),
          exclude: ['**/*.browser.test.ts', '**/*.crash.test.ts', '**/*.distributed.test.ts', '**/node_modules/**'],
        },
      },
      {
        test: {
          ...shared,
          name: 'browser',
          include: suites.map((dir) => `${dir}/**/*.browser.test.ts`),
          testTimeout: 120_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'crash',
          include: suites.map((dir) => `${dir}/**/*.crash.test.ts`),
          testTimeout: 900_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          ...shared,
          name: 'distributed',
          include: suites.map((dir) => `${dir}/**/*.distributed.test.ts`),
          testTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
