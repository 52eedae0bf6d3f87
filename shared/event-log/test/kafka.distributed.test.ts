import net, { type Socket } from 'node:net'
import { afterAll, beforeAll } from 'vitest'
import type { ISocketFactory } from 'kafkajs'
import { startKafka, type KafkaServers } from '../../../test/servers/kafka.ts'
import type { EventLog } from '../src/event-log.ts'
import { openKafkaEventLog } from '../src/kafka.ts'
import { eventLogContract, type LogWorld } from './contract.ts'

let servers: KafkaServers
beforeAll(async () => {
  servers = await startKafka()
}, 120_000)
afterAll(() => servers.stop())

/** Sockets of one log, which a crash takes away: what it had not sent stays unsent, and nothing more is. */
function cuttableSockets(): { factory: ISocketFactory; cut(): void } {
  const sockets = new Set<Socket>()
  let isCut = false
  return {
    factory: ({ host, port, onConnect }) => {
      // Port 0 refuses.
      const socket = net.connect({ host, port: isCut ? 0 : port }, onConnect)
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      return socket
    },
    cut() {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
  }
}

let worlds = 0
const makeWorld = async (): Promise<LogWorld> => {
  const prefix = `world-${(worlds += 1)}.`
  const logs = new Map<EventLog, ReturnType<typeof cuttableSockets>>()
  return {
    async open() {
      const sockets = cuttableSockets()
      const log = await openKafkaEventLog({
        brokers: servers.brokers,
        prefix,
        partitions: { one: 1, many: 3 },
        sessionTimeoutMs: 1_500,
        socketFactory: sockets.factory,
      })
      logs.set(log, sockets)
      return log
    },
    async crash(log) {
      logs.get(log)!.cut()
    },
    async remove() {
      await Promise.all([...logs.keys()].map((log) => log.close()))
    },
  }
}
eventLogContract('the log on Kafka', makeWorld, {
  'fences a consumer whose group another one joined': 'here the group shares out; see the zombie below',
})
