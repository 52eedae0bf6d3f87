import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { findRoot } from '@footfall/config/root'
import type { GeneratorOptions, GeneratorResult } from './generator.ts'

/** Runs the generator in a thread until its time is over and every request has its answer. */
export async function generateLoad(
  options: Pick<GeneratorOptions, 'port' | 'seconds' | 'eventsPerRequest'> & Partial<GeneratorOptions>,
): Promise<GeneratorResult> {
  const worker = new Worker(join(findRoot(), 'dist/generator.js'), {
    workerData: {
      path: '/v1/events',
      key: benchKey,
      origin: benchOrigin,
      page: `${benchOrigin}/page/`,
      connections: 64,
      requestsPerSecond: null,
      agents: 500,
      ...options,
    } satisfies GeneratorOptions,
  })
  try {
    return await new Promise<GeneratorResult>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  } finally {
    await worker.terminate()
  }
}

export const benchKey = 'pk_bench_key'
export const benchOrigin = 'https://bench.example'

/** One deployment to send to. */
export const benchCatalogue = {
  organisations: [{ id: 'bench', name: 'Bench', type: 'city', country: 'FI' }],
  apps: [{ id: 'bench', name: 'Bench' }],
  deployments: [
    {
      id: 'bench',
      app: 'bench',
      organisation: 'bench',
      time_zone: 'Europe/Helsinki',
      origins: [benchOrigin],
      mode: 'exempt',
      keys: [benchKey],
    },
  ],
}
