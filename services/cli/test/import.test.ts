import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import type { ImportResult } from '@footfall/jobs/import/import-result'
import { describe, expect, test } from 'vitest'
import { summarise } from '../src/commands/import.ts'
import { followLog, sendLines } from '../src/follow-log.ts'
import type { Server } from '../src/server.ts'

const result: ImportResult = {
  lines: 10_000,
  events: 1_626,
  bots: 73,
  other: 8_300,
  unreadable: 74,
  first_day: '2015-05-17',
  last_day: '2015-05-20',
  stored: 1_600,
  days_imported_before: [],
  days_with_beacons: [],
}

describe('what an import says when it is done', () => {
  test('names the days, people and bots, what is new, and the board that shows them', () => {
    const text = summarise(result, 'logs', 'https://numbers.example')
    expect(text).toContain('Days 2015-05-17 to 2015-05-20 (local): 1,553 views of people, 73 of bots.')
    expect(text).toContain('Newly stored: 1,600; already there: 26.')
    expect(text).toContain('https://numbers.example/deployments/logs?from=2015-05-17&to=2015-05-20')
  })

  test('warns of days that were imported in parts and of days that beacons counted', () => {
    const text = summarise(
      {
        ...result,
        days_imported_before: ['2015-05-17', '2015-05-18', '2015-05-20'],
        days_with_beacons: ['2015-05-19'],
      },
      'logs',
      '',
    )
    expect(text).toContain('2015-05-17 to 2015-05-18, 2015-05-20. Visitors of these days are counted per run')
    expect(text).toContain('Also counted by beacons: 2015-05-19.')
  })

  test('says so when there was no page view, and when the last line was left out', () => {
    const nothing = { ...result, events: 0, first_day: null, last_day: null, held_back: true }
    const text = summarise(nothing, 'logs', '')
    expect(text).toContain('The last line has no end yet')
    expect(text).not.toContain('deployments/')
  })
})

describe('lines on their way to the server', () => {
  const line = (path: string): string =>
    `192.0.2.7 - - [10/Mar/2026:10:00:01 +0000] "GET ${path} HTTP/1.1" 200 512 "-" "Firefox"`
  /** Takes lines as the server does, and tells when some came. */
  const listen = (onLines: (sent: string[]) => void = () => undefined) => {
    const sent: string[] = []
    const server: Server = {
      url: '',
      publicUrl: '',
      pid: 0,
      token: '',
      async request<Answer>(_method: 'GET' | 'POST', _path: string, body?: unknown) {
        sent.push(...((body as { lines?: string[] } | undefined)?.lines ?? []))
        onLines(sent)
        return { ...result, id: 'one' } as Answer
      },
    }
    return { server, sent }
  }

  test('standard input: a last line without a newline counts only when it is whole', async () => {
    for (const [last, counts] of [
      [line('/last'), true],
      [line('/last').slice(0, -3), false],
      [line('/last').replace(/ "-" .*/, ''), false],
    ] as const) {
      const { server, sent } = listen()
      await sendLines(server, 'logs', Readable.from([Buffer.from(`${line('/a')}\n${last}`)]))
      expect(sent).toEqual(counts ? [line('/a'), last] : [line('/a')])
    }
  })

  test('standard input: gzip that is cut says how far it came', async () => {
    const packed = gzipSync(Array.from({ length: 5_000 }, (_, index) => `${line(`/${index * 7919}`)}\n`).join(''))
    const { server } = listen()
    await expect(sendLines(server, 'logs', Readable.from([packed.subarray(0, packed.length / 2)]))).rejects.toThrow(
      /breaks off after line 10000: .* counted twice/,
    )
  })

  test('a log that is followed: a half written line goes in once, when it is whole', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'footfall-follow-'))
    const file = join(directory, 'access.log')
    await writeFile(file, `${line('/a')}\n${line('/b').slice(0, 70)}`)
    const enough = new Error('enough')
    const { server, sent } = listen((lines) => {
      if (lines.length === 2) throw enough
    })
    const following = followLog(server, 'logs', file, () => {
      expect(sent).toEqual([line('/a')])
      void appendFile(file, `${line('/b').slice(70)}\n`)
    })
    await expect(following).rejects.toBe(enough)
    expect(sent).toEqual([line('/a'), line('/b')])
    await rm(directory, { recursive: true })
  })
})
