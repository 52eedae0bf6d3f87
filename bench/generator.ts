import { createConnection, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

/** Load from a thread of its own, over plain sockets: it shares the machine with what it measures, so it has to be cheap. */
export interface GeneratorOptions {
  readonly port: number
  readonly path: string
  readonly key: string
  readonly origin: string
  /** First part of the addresses of its pages; numbers follow. */
  readonly page: string
  readonly connections: number
  readonly seconds: number
  readonly eventsPerRequest: number
  /** Open loop: requests are due at this rate whatever the answers do. null: closed, each connection sends when it has its answer. */
  readonly requestsPerSecond: number | null
  /** Different user agents, so that caches see what they would see. */
  readonly agents: number
}

export interface GeneratorResult {
  /** Requests answered with 202, and with anything else. */
  readonly accepted: number
  readonly refused: number
  /** Milliseconds from when a request was due, in order. */
  readonly latencies: Float64Array
}

const options = workerData as GeneratorOptions
const { port, path, key, origin, page, connections, seconds, eventsPerRequest, requestsPerSecond, agents } = options
// Twelve hex digits that no other generator has, then a running number.
const salt = Math.floor(Math.random() * 0x1000000)
  .toString(16)
  .padStart(6, '0')
let sent = 0

function makeRequest(): string {
  const now = Date.now()
  const time = now.toString(16).padStart(12, '0')
  const head = `{"id":"${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${salt}`
  const visitor = Math.floor(sent / eventsPerRequest) % agents
  let events = ''
  for (let index = 0; index < eventsPerRequest; index++) {
    sent++
    events +=
      `${index === 0 ? '' : ','}${head}${(sent % 0x1000000).toString(16).padStart(6, '0')}","name":"page_view","at":${now},"seq":${index},"attempt":1,` +
      `"url":"${page}${sent % 200}","referrer":"https://search.example/","props":{"section":"schools","language":"fi"},"app_version":"1.2.3"}`
  }
  const body = `{"key":"${key}","sent_at":${now},"page_id":"${salt}${sent}","events":[${events}]}`
  return (
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\norigin: ${origin}\r\naccept-language: fi\r\n` +
    `user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:${100 + visitor}.0) Gecko/20100101 Firefox/${100 + visitor}.0\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  )
}

const latencies: number[] = []
let accepted = 0
let refused = 0
/** When the requests that no connection was free for were due. */
const waiting: number[] = []
const free: Connection[] = []

interface Connection {
  readonly socket: Socket
  due: number
  received: string
}

const endsAt = performance.now() + seconds * 1_000
let open = 0
let finish: () => void = () => undefined
const finished = new Promise<void>((resolve) => (finish = resolve))
/** Nothing is left to begin. */
let isOver = (): boolean => performance.now() >= endsAt

function send(connection: Connection, due: number): void {
  connection.due = due
  open++
  connection.socket.write(makeRequest())
}

/** Takes the next request when there is one; else the connection is free. */
function next(connection: Connection): void {
  if (requestsPerSecond === null) {
    if (!isOver()) send(connection, performance.now())
  } else {
    const due = waiting.shift()
    if (due === undefined) free.push(connection)
    else send(connection, due)
  }
  if (open === 0 && isOver() && waiting.length === 0) finish()
}

function connect(): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true })
    const connection: Connection = { socket, due: 0, received: '' }
    socket.setEncoding('latin1')
    socket.once('connect', () => resolve(connection))
    socket.once('error', reject)
    socket.on('data', (chunk: string) => {
      connection.received += chunk
      const end = connection.received.indexOf('\r\n\r\n')
      const length = end < 0 ? -1 : Number(/content-length: (\d+)/i.exec(connection.received)?.[1])
      if (end < 0 || connection.received.length < end + 4 + length) return
      if (connection.received.startsWith('HTTP/1.1 202')) accepted++
      else refused++
      connection.received = ''
      open--
      latencies.push(performance.now() - connection.due)
      next(connection)
    })
  })
}

const ready = await Promise.all(Array.from({ length: connections }, connect))
const began = performance.now()
for (const connection of ready) next(connection)
if (requestsPerSecond !== null) {
  const total = Math.floor(seconds * requestsPerSecond)
  const every = 1_000 / requestsPerSecond
  let issued = 0
  isOver = () => issued >= total
  const issue = (): void => {
    for (; issued < total && began + issued * every <= performance.now(); issued++) {
      const due = began + issued * every
      const connection = free.shift()
      if (connection) send(connection, due)
      else waiting.push(due)
    }
    if (issued < total) setTimeout(issue, 1)
    else if (open === 0 && waiting.length === 0) finish()
  }
  issue()
}
await finished
for (const { socket } of ready) socket.destroy()
const result: GeneratorResult = { accepted, refused, latencies: Float64Array.from(latencies).sort() }
parentPort?.postMessage(result)
