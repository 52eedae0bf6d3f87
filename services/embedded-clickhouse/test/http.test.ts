import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createClient, type ClickHouseClient } from '@clickhouse/client'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findRoot } from '@footfall/config/root'
import { readStatement } from '../src/statement.ts'
import { superviseEmbeddedClickHouse, type EmbeddedClickHouse } from '../src/supervise.ts'

let directory: string
let engine: EmbeddedClickHouse
let client: ClickHouseClient
const connectTo = (more: Record<string, unknown> = {}): ClickHouseClient =>
  createClient({
    url: engine.url,
    username: engine.user,
    password: engine.password,
    database: 'footfall',
    log: { level: 127 },
    ...more,
  })
const rows = async <Row>(query: string, query_params: Record<string, unknown> = {}): Promise<Row[]> =>
  (await client.query({ query, query_params, format: 'JSONEachRow' })).json<Row>()
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: { code?: string }) => String(error.code),
  )

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'footfall-engine-'))
  engine = await superviseEmbeddedClickHouse({ directory: join(directory, 'store') })
  client = connectTo()
  await client.command({
    query:
      'CREATE TABLE t (n UInt32, s String) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100',
  })
})
afterAll(async () => {
  await client.close()
  await engine.close()
  await rm(directory, { recursive: true, force: true })
})

describe('the official client over the embedded engine', () => {
  test('binds parameters of every usual type, whatever they hold', async () => {
    const text = `quote ' backslash \\ newline \n tab \t "); DROP TABLE t; --`
    const [row] = await rows<Record<string, unknown>>(
      'SELECT {text:String} AS text, {list:Array(String)} AS list, {n:UInt64} AS n, {f:Float64} AS f, {b:Bool} AS b, {d:DateTime64(3)} AS d, {none:Nullable(String)} AS none',
      {
        text,
        list: [text, 'b'],
        n: '18446744073709551615',
        f: 0.5,
        b: true,
        d: new Date('2026-01-02T03:04:05.678Z'),
        none: null,
      },
    )
    expect(row).toEqual({
      text,
      list: [text, 'b'],
      n: '18446744073709551615',
      f: 0.5,
      b: true,
      d: '2026-01-02 03:04:05.678',
      none: null,
    })
  })

  test('takes parameters that are too long for an address', async () => {
    const multipart = connectTo({ use_multipart_params_auto: true })
    const list = Array.from({ length: 10_000 }, (_, index) => `value ${index} '\\`)
    const result = await multipart.query({
      query: 'SELECT length({list:Array(String)}) AS n, {list:Array(String)}[10000] AS last',
      query_params: { list },
      format: 'JSONEachRow',
    })
    expect(await result.json()).toEqual([{ n: '10000', last: list[9_999] }])
    await multipart.close()
  })

  test('inserts rows of every form; a blank line in them runs nothing', async () => {
    await client.insert({ table: 't', values: [{ n: 1, s: 'a\n\n;DROP TABLE t\n' }], format: 'JSONEachRow' })
    await client.insert({ table: 't', values: [[2, 'b']], columns: ['n', 's'], format: 'JSONCompactEachRow' })
    await client.insert({
      table: 't',
      values: Readable.from(['3,"x\n\n;drop table t"\n'], { objectMode: false }),
      format: 'CSV',
    })
    await client.insert({ table: 't', values: [], format: 'JSONEachRow' })
    const packed = connectTo({ compression: { request: true, response: true } })
    await packed.insert({ table: 't', values: [{ n: 4, s: 'packed' }], format: 'JSONEachRow' })
    expect(await (await packed.query({ query: 'SELECT s FROM t WHERE n = 4', format: 'JSONEachRow' })).json()).toEqual([
      { s: 'packed' },
    ])
    await packed.close()
    expect(await rows('SELECT count() AS n FROM t')).toEqual([{ n: '4' }])
  })

  test('a token keeps a repetition out, and does not leak to the next insert', async () => {
    const insert = (s: string, token?: string) =>
      client.insert({
        table: 't',
        values: [{ n: 10, s }],
        format: 'JSONEachRow',
        clickhouse_settings: token ? { insert_deduplication_token: token } : {},
      })
    await insert('once', 'a')
    await insert('once', 'a')
    await insert('other')
    await insert('third', 'b')
    expect(await rows('SELECT s FROM t WHERE n = 10 ORDER BY s')).toEqual([
      { s: 'once' },
      { s: 'other' },
      { s: 'third' },
    ])
  })

  test('settings of one query do not stick to the next', async () => {
    await client.query({ query: 'SELECT 1', clickhouse_settings: { readonly: '1' } })
    await client.command({ query: 'CREATE TABLE IF NOT EXISTS other (n UInt8) ENGINE = Memory' })
  })

  test('streams a million rows', async () => {
    const result = await client.query({ query: 'SELECT number FROM numbers(1000000)', format: 'JSONEachRow' })
    let count = 0
    for await (const chunk of result.stream()) count += chunk.length
    expect(count).toBe(1_000_000)
  })

  test('runs queries side by side', async () => {
    let done = 0
    const slow = Promise.all([1, 2].map(() => rows('SELECT sleep(1)').then(() => done++)))
    await rows('SELECT 1')
    expect(done).toBe(0)
    await slow
  })

  test('ends a query that its client gave up', async () => {
    const abort = new AbortController()
    const query = client.query({
      query: 'SELECT sum(cityHash64(number)) FROM numbers(100000000000)',
      abort_signal: abort.signal,
      query_id: 'given-up',
    })
    const isRunning = async () =>
      (
        await rows<{ n: string }>(
          "SELECT count() AS n FROM system.processes WHERE Settings['log_comment'] = 'given-up'",
        )
      )[0]!.n === '1'
    while (!(await isRunning())) await new Promise((resolve) => setImmediate(resolve))
    abort.abort()
    await expect(query).rejects.toThrow()
    while (await isRunning()) await new Promise((resolve) => setImmediate(resolve))
  })

  test('answers whole or not at all to a client that waits for the end', async () => {
    const query = client.query({
      query: 'SELECT throwIf(number = 900000) FROM numbers(1000000)',
      format: 'JSONEachRow',
      clickhouse_settings: { wait_end_of_query: 1 },
    })
    expect(await codeOf(query)).toBe('395')
  })

  test('tells an error before output by its code, and one after output too', async () => {
    expect(await codeOf(client.query({ query: 'SELECT nothing' }))).toBe('47')
    expect(await codeOf(client.query({ query: 'SELEC 1' }))).toBe('62')
    const late = await client.query({
      query: 'SELECT throwIf(number = 900000) FROM numbers(1000000)',
      format: 'JSONEachRow',
      clickhouse_settings: { max_block_size: '10000' },
    })
    expect(await codeOf(late.json())).toBe('395')
  })

  test.each([
    ['two statements', 'SELECT 1; DROP TABLE t', '62'],
    ['a file of the machine', "SELECT * FROM file('/etc/passwd', 'LineAsString')", '497'],
    ['a file to write', "SELECT 1 INTO OUTFILE '/tmp/x'", '497'],
    ['another host', "SELECT * FROM url('http://127.0.0.1', 'LineAsString')", '497'],
    ['a file to insert', "INSERT INTO t FROM INFILE '/etc/passwd'", '497'],
    ['a file by a quoted name', "SELECT * FROM `file`('/etc/hostname', 'LineAsString')", '497'],
    ['a file by a name in double quotes', `SELECT "file" ('/etc/hostname')`, '497'],
    ['a file by an escaped name', "SELECT `fi\\x6ce`('/etc/hostname')", '62'],
    ['the names of files', "SELECT * FROM filesystem('/etc')", '497'],
    ['a file as a table', 'SELECT * FROM default.`/etc/hostname`', '60'],
    ['a file behind an escaped line break', "SELECT '\\\n', file('/etc/hostname'), '\\\n'", '497'],
    ['a file behind a curly quote', "SELECT ‘'’, file('/etc/hostname'), ‘'’", '62'],
    ['a file behind a heredoc', "SELECT $a$'$a$, file('/etc/hostname'), $a$'$a$", '62'],
    ['a file behind a comment', "SELECT 1 # '\n, file('/etc/hostname') # '", '62'],
    ['a file behind a comment of slashes', "SELECT 1 // '\n, file('/etc/hostname') // '", '62'],
    ['a file behind a comment in a comment', "SELECT 1 /* /* */ ' */, file('/etc/hostname') /* ' */", '62'],
    ['a table of a file', "CREATE TABLE x ENGINE = File('CSV', '/etc/hostname')", '497'],
    ['a table of a broker', "CREATE TABLE x (n String) ENGINE = Kafka SETTINGS kafka_broker_list = 'x'", '497'],
    ['a database of files', "CREATE DATABASE x ENGINE = Filesystem('/etc')", '497'],
    [
      'a dictionary of a program',
      "CREATE DICTIONARY x (n Int8) PRIMARY KEY n SOURCE(EXECUTABLE(COMMAND 'id' FORMAT 'TSV')) LAYOUT(FLAT()) LIFETIME(1)",
      '497',
    ],
    [
      'a file by a filter among the settings',
      `SELECT 1 SETTINGS additional_result_filter = 'file(\\'/etc/hostname\\') = \\'\\''`,
      '497',
    ],
    ['a backup to another host', "BACKUP TABLE t TO S3('http://127.0.0.1/b')", '497'],
  ])('refuses %s', async (_name, query, code) => {
    expect(await codeOf(client.command({ query }))).toBe(code)
  })

  test('refuses a filter that comes as a setting of its own', async () => {
    const settings = { additional_result_filter: "file('/etc/hostname') = ''" }
    expect(await codeOf(client.query({ query: 'SELECT 1', clickhouse_settings: settings }))).toBe('497')
  })

  test('refuses every table function of the engine but those that stay within', async () => {
    const within =
      /^(numbers(_mt)?|zeros(_mt)?|primes|generate_?series|generateRandom|values|SQLStandardValues|null|view\w*|merge|mergeTree\w+|loop|dictionary|format|fuzz\w+|timeSeries\w+|prometheus\w+)$/i
    const names = (await rows<{ name: string }>('SELECT name FROM system.table_functions')).map(({ name }) => name)
    expect(names.length).toBeGreaterThan(50)
    const passing = names.filter((name) => readStatement(`SELECT * FROM ${name}('x')`).reachesOut === null)
    expect(passing.filter((name) => !within.test(name))).toEqual([])
  })

  test('refuses a wrong password, a wrong user and none', async () => {
    for (const more of [{ password: 'wrong' }, { username: 'root' }, { password: '' }]) {
      const stranger = connectTo(more)
      expect(await codeOf(stranger.query({ query: 'SELECT 1' }))).toBe('516')
      await stranger.close()
    }
  })

  test('writes a backup only where it may', async () => {
    await client.command({ query: `BACKUP TABLE t TO File('${join(directory, 'store/backups/t.tar.zst')}')` })
    expect(
      await codeOf(client.command({ query: `BACKUP TABLE t TO File('${join(directory, 'elsewhere.tar.zst')}')` })),
    ).not.toBe('none')
  })
})

describe('the engine’s life', () => {
  test('it is back after a kill with everything that was acknowledged', async () => {
    for (let round = 0; round < 3; round++) {
      await client.insert({ table: 't', values: [{ n: 100 + round, s: 'kept' }], format: 'JSONEachRow' })
      const pid = engine.pid()!
      process.kill(pid, 'SIGKILL')
      while (engine.pid() === pid || !(await client.ping()).success)
        await new Promise((resolve) => setImmediate(resolve))
      expect(await rows('SELECT count() AS kept FROM t WHERE n >= 100')).toEqual([{ kept: String(round + 1) }])
    }
    expect(engine.restarts()).toBe(3)
  })

  test('a second owner is refused and told who holds the directory', async () => {
    const second = superviseEmbeddedClickHouse({ directory: join(directory, 'store'), lockWaitMs: 300 })
    await expect(second).rejects.toThrow(String(engine.pid()))
    expect((await client.ping()).success).toBe(true)
  })

  test('one whose threads met a fatal signal is replaced, although it goes on answering /ping', async () => {
    const pid = engine.pid()!
    const threads = (await readdir(`/proc/${pid}/task`)).map(Number)
    // The last of its threads: the first is Node's.
    process.kill(threads.at(-1)!, 'SIGSEGV')
    while (engine.pid() === pid) await new Promise((resolve) => setImmediate(resolve))
    while ((await codeOf(rows('SELECT 1'))) !== 'none') await new Promise((resolve) => setImmediate(resolve))
  })

  test('one that hangs is replaced', async () => {
    const own = await superviseEmbeddedClickHouse({ directory: join(directory, 'hung'), probeEveryMs: 200 })
    const pid = own.pid()!
    process.kill(pid, 'SIGSTOP')
    while (own.pid() === pid) await new Promise((resolve) => setImmediate(resolve))
    await own.close()
  })

  test('it ends with its parent, however that ends, and the next parent opens its data', async () => {
    const script = join(directory, 'parent.mjs')
    const own = join(directory, 'orphan')
    await build({
      stdin: {
        contents: `import { superviseEmbeddedClickHouse } from './supervise.ts'; const e = await superviseEmbeddedClickHouse({ directory: ${JSON.stringify(own)} }); process.stdout.write(String(e.pid()) + '\\n')`,
        resolveDir: join(import.meta.dirname, '../src'),
        loader: 'ts',
      },
      bundle: true,
      format: 'esm',
      platform: 'node',
      outfile: join(findRoot(), 'dist/test-parent.mjs'),
      logLevel: 'error',
    })
    await writeFile(script, '')
    const parent = spawn(process.execPath, [join(findRoot(), 'dist/test-parent.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const child = Number(
      await new Promise<string>((resolve) => parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()))),
    )
    parent.kill('SIGKILL')
    const isAlive = (): boolean => {
      try {
        process.kill(child, 0)
        return true
      } catch {
        return false
      }
    }
    while (isAlive()) await new Promise((resolve) => setImmediate(resolve))
    const next = await superviseEmbeddedClickHouse({ directory: own })
    await next.close()
  })
})

test.each([
  ["SELECT ';' -- ; no", 'SELECT', false],
  ['SELECT 1;', 'SELECT', false],
  ['SELECT 1; SELECT 2', 'SELECT', true],
  ['/* x; */ insert into t', 'INSERT', false],
  ["SELECT 'it''s; fine'", 'SELECT', false],
  ['SELECT \'file(\' AS `url`, "input" -- remote(', 'SELECT', false],
  ["SELECT '# $ // ‘', 1 /* $ # */", 'SELECT', false],
])('the statement %j begins with %s', (sql, verb, isMany) => {
  expect(readStatement(sql)).toMatchObject({ verb, isMany, isUnclear: false, reachesOut: null })
})
