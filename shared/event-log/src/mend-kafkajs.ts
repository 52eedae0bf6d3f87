import { createRequire } from 'node:module'

/** What is mended of a private class of the client. */
interface Runner {
  running: boolean
  fetch: (this: Runner, nodeId: number) => Promise<unknown>
}
interface RequestQueue {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}

const marked = Symbol.for('footfall.kafkajs')

/** Replaces a method once, however often this file is loaded. */
function mend<Class extends object>(path: string, replace: (prototype: Class) => void): void {
  const { prototype } = createRequire(import.meta.url)(path) as { prototype: Class & { [marked]?: true } }
  if (prototype[marked]) return
  prototype[marked] = true
  replace(prototype)
}

/**
 * A fetcher that is made while its consumer stops (a broker has just come or gone) asks a runner that is stopped, gets an
 * empty answer at once, and asks again, for ever, without giving the event loop a turn: the process takes a core and
 * answers nothing any more, no signal either. Refused instead of answered, the fetcher ends, and with it the stop that
 * waits for it.
 */
const mendRunner = (): void =>
  mend<Runner>('kafkajs/src/consumer/runner.js', (prototype) => {
    const { fetch } = prototype
    prototype.fetch = async function (nodeId) {
      if (!this.running) throw new Error('The consumer has stopped.')
      return fetch.call(this, nodeId)
    }
  })

/**
 * Each connection looks a thousand times a second whether a request waits to be sent, also when none does: it sets a timer
 * with the time since a throttling that never was. A request that comes to wait sets one itself.
 * Source: tulios/kafkajs, issue 1556.
 */
const mendRequestQueue = (): void =>
  mend<RequestQueue>('kafkajs/src/network/requestQueue/index.js', (prototype) => {
    const { scheduleCheckPendingRequests } = prototype
    prototype.scheduleCheckPendingRequests = function () {
      if (this.pending.length > 0) scheduleCheckPendingRequests.call(this)
    }
  })

/** Mends kafkajs 2.2.4, of which no later version is to be expected. */
export function mendKafkajs(): void {
  mendRunner()
  mendRequestQueue()
}
