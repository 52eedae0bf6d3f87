import { Agent, request } from 'node:http'
import { workerData, parentPort } from 'node:worker_threads'

/** Closed loop from a thread of its own: every connection sends its next request when it has its answer. */
export interface GeneratorOptions {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly seconds: number
  readonly eventsPerRequest: number
  readonly key: string
}

const { port, path, connections, seconds, eventsPerRequest, key } = workerData as GeneratorOptions
const agent = new Agent({ keepAlive: true, maxSockets: connections })
let sent = 0
const salt = Math.floor(Math.random() * 0xffff_ffff)
  .toString(16)
  .padStart(8, '0')

function body(): string {
  const now = Date.now()
  const events = Array.from({ length: eventsPerRequest }, () => {
    sent++
    const hex = now.toString(16).padStart(12, '0')
    return {
      id: `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${salt.slice(0, 4)}${sent.toString(16).padStart(8, '0')}`,
      name: 'page_view',
      at: now,
      seq: 0,
      attempt: 1,
      url: `https://bench.example/page/${sent % 50}`,
      referrer: 'https://search.example/',
      props: { section: 'schools', language: 'fi' },
      app_version: '1.2.3',
    }
  })
  return JSON.stringify({ key, sent_at: now, page_id: salt, events })
}

let answered = 0
const latencies: number[] = []
const end = Date.now() + seconds * 1_000
const one = (): Promise<void> =>
  new Promise((resolve) => {
    const text = body()
    const began = performance.now()
    const call = request(
      {
        port,
        host: '127.0.0.1',
        path,
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          origin: 'https://bench.example',
          'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
          'accept-language': 'fi',
        },
      },
      (response) => {
        response.resume()
        response.on('end', () => {
          if (response.statusCode === 202) answered++
          latencies.push(performance.now() - began)
          resolve()
        })
      },
    )
    call.on('error', () => resolve())
    call.end(text)
  })
await Promise.all(
  Array.from({ length: connections }, async () => {
    while (Date.now() < end) await one()
  }),
)
parentPort?.postMessage({ answered, latencies: latencies.sort((a, b) => a - b) })
