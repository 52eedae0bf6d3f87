import { openKafkaEventLog } from '@footfall/event-log/kafka'
import { startInstallation } from '../../../test/servers/distributed.ts'
import { pipelineSuite, token, type PipelineWorld } from '../../standalone/test/pipeline-suite.ts'

async function open(): Promise<PipelineWorld> {
  const installation = await startInstallation({
    adminToken: token,
    environment: { FLUSH_INTERVAL_MS: '20', TRUSTED_PROXIES: '127.0.0.1' },
  })
  return {
    root: installation.root,
    ingests: installation.ingests.map(({ url }) => url),
    console: installation.console.url,
    killStore: () => installation.killStore(),
    async logHolds(text) {
      const log = await openKafkaEventLog({ brokers: installation.kafka.brokers })
      const until = new Map((await log.partitions('events')).map(({ partition, end }) => [partition, end]))
      let holds = false
      for await (const { value } of log.tail('events', { from: 'start', until })) holds ||= value.includes(text)
      await log.close()
      return holds
    },
    close: () => installation.close(),
  }
}

pipelineSuite('every service in processes of its own, on Kafka and Redis', open)
