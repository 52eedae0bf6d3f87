import { PipelineError } from '@footfall/contracts/errors'
import { expect, test } from 'vitest'
import { examineSenders } from '../../src/commands/doctor.ts'

const answering = (answer: object) => ({ request: <Answer>() => Promise.resolve(answer as Answer) })
const said = async (server: Parameters<typeof examineSenders>[0]): Promise<string[]> =>
  (await examineSenders(server)).map(({ level, what }) => `${level}: ${what}`)

test.each([
  [{ share: 0.95, of: 200 }, ['warning: 95 % of the last 200 beacons came from one address']],
  [{ share: 0.95, of: 99 }, []],
  [{ share: 0.5, of: 5_000 }, []],
])('doctor warns of a proxy that is not trusted: %j', async (answer, findings) => {
  expect(await said(answering(answer))).toEqual(findings)
})

test.each([
  ['takes in no beacons itself', answering({ share: null })],
  ['does not answer', { request: () => Promise.reject(new PipelineError('STORE_UNAVAILABLE')) }],
])('doctor says that senders are not known to a server that %s, and never that all is well', async (_name, server) => {
  expect(await said(server)).toEqual([expect.stringContaining('is not known here')])
})
