import { createRequire } from 'node:module'

interface RunnerClass {
  prototype: { running: boolean; fetch: (this: { running: boolean }, nodeId: number) => Promise<unknown> }
}

const marked = Symbol.for('footfall.kafkajs-stop')

/**
 * Mends kafkajs 2.2.4: a fetcher that is made while its consumer stops (a broker has just come or gone) asks a runner that
 * is stopped, gets an empty answer at once, and asks again, for ever, without giving the event loop a turn: the process
 * takes a core and answers nothing any more, no signal either. Refused instead of answered, the fetcher ends, and with
 * it the stop that waits for it.
 */
export function mendStop(): RunnerClass {
  const runner = createRequire(import.meta.url)('kafkajs/src/consumer/runner.js') as RunnerClass & { [marked]?: true }
  if (runner[marked]) return runner
  runner[marked] = true
  const fetch = runner.prototype.fetch
  runner.prototype.fetch = async function (nodeId) {
    if (!this.running) throw new Error('The consumer has stopped.')
    return fetch.call(this, nodeId)
  }
  return runner
}
