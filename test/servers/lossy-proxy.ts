import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Reads what passes and says, of what the server sends, whether that is an answer that may get lost. */
export interface Protocol {
  /** One for each connection. */
  open(): { request(chunk: Buffer): void; isAnswer(chunk: Buffer): boolean }
}

/** A TCP proxy that loses answers: the server has acted, and nobody hears of it. */
export interface LossyProxy {
  readonly port: number
  /** Loses the next so many answers, each with its connection. */
  lose(count: number): void
  readonly lost: () => number
  close(): Promise<void>
}

/** Kafka's frames: the length, then for requests the kind, its version and a number that the answer repeats. */
export function kafkaAnswers(kinds: readonly number[]): Protocol {
  return {
    open() {
      const asked = new Set<number>()
      let requests = Buffer.alloc(0)
      return {
        request(chunk) {
          requests = Buffer.concat([requests, chunk])
          while (requests.length >= 12) {
            const length = requests.readInt32BE(0) + 4
            if (kinds.includes(requests.readInt16BE(4))) asked.add(requests.readInt32BE(8))
            if (requests.length < length) return
            requests = requests.subarray(length)
          }
        },
        // An answer begins a chunk: the client has one question of a kind under way.
        isAnswer: (chunk) => chunk.length >= 8 && asked.delete(chunk.readInt32BE(4)),
      }
    },
  }
}

/** HTTP requests whose head holds a word. */
export function httpAnswers(word: string): Protocol {
  return {
    open() {
      let isAsked = false
      return {
        request(chunk) {
          if (chunk.includes(word)) isAsked = true
        },
        isAnswer() {
          const was = isAsked
          isAsked = false
          return was
        },
      }
    },
  }
}

export async function startLossyProxy(target: number, protocol: Protocol, port = 0): Promise<LossyProxy> {
  let toLose = 0
  let lost = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    const watched = protocol.open()
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (chunk) => {
      watched.request(chunk)
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (watched.isAnswer(chunk) && toLose > 0) {
        toLose--
        lost++
        client.destroy()
        return
      }
      client.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    lose(count) {
      toLose = count
    },
    lost: () => lost,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
