/** A process for the tests: a member of a group on Kafka that does what its standard input says, and tells what came of it. */
import { createInterface } from 'node:readline'
import { isPipelineError } from '@footfall/contracts/errors'
import { openKafkaEventLog } from '../src/kafka.ts'

const [brokers = '', prefix = '', topic = '', group = ''] = process.argv.slice(2)
const say = (...words: readonly (string | number)[]): void => void process.stdout.write(`${words.join(' ')}\n`)

const log = await openKafkaEventLog({ brokers: brokers.split(','), prefix, sessionTimeoutMs: 3_000 })
const consumer = await log.consume(topic, group, {
  onAssigned: (partition) => say('assigned', partition),
  onRevoked: (partition) => say('revoked', partition),
})
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, partition, offset] = line.split(' ')
  try {
    if (verb === 'claim') await consumer.claim(Number(partition), Number(offset))
    else if (verb === 'advance') await consumer.advance(Number(partition), Number(offset))
    say('done', verb!)
  } catch (error) {
    say('failed', isPipelineError(error) ? error.code : String(error))
  }
}
