import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import fastify from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { awaitHandlers, httpOptions, refuseWhileClosing } from '../src/http-options.ts'

/** Answers when three connections that said nothing were cut, one after the other: longer than one may be quiet. */
const quietConnections = async () => {
  for (let nth = 0; nth < 3; nth++) await (await open()).closed
  return { quiet: 3 }
}
const makeApp = () => {
  const app = fastify(httpOptions(300))
  refuseWhileClosing(app)
  app.post('/body', async () => ({}))
  app.get<{ Params: { id: string } }>('/things/:id', async () => ({}))
  app.get('/cut', quietConnections)
  void app.register(async (scope) => {
    awaitHandlers(scope, 300)
    scope.get('/let', quietConnections)
  })
  return app
}
const app = makeApp()
beforeAll(async () => void (await app.listen({ host: '127.0.0.1', port: 0 })))
afterAll(() => app.close())

const open = async (of = app) => {
  const socket = connect((of.server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  let heard = ''
  socket.on('data', (chunk) => (heard += chunk.toString()))
  socket.on('error', () => undefined)
  return { socket, closed: once(socket, 'close').then(() => heard) }
}
const talk = async (text: string): Promise<string> => {
  const { socket, closed } = await open()
  socket.write(text)
  return closed
}
/** Status, headers and our body of a raw answer. */
const read = (answer: string) => {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  const { error } = JSON.parse(body) as { error: { code: string; message: string; hint: string } }
  expect([typeof error.message, typeof error.hint]).toEqual(['string', 'string'])
  return { status: Number(head.split(' ')[1]), code: error.code, retryAfter: /retry-after: (\d+)/.exec(head)?.[1] }
}

test.each([
  [
    'a path with a bad escape',
    'GET /things/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    400,
    'INVALID_REQUEST',
  ],
  [
    'a path of no route with a bad escape',
    'GET /v1/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    400,
    'INVALID_REQUEST',
  ],
  [
    'a parameter too long',
    `GET /things/${'x'.repeat(200)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
    400,
    'INVALID_REQUEST',
  ],
  ['no HTTP', 'hello\r\n\r\n', 400, 'INVALID_REQUEST'],
  ['a method that nobody knows', 'FETCH / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'INVALID_REQUEST'],
  ['headers too large', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
])('%s is refused in our form', async (_name, text, status, code) => {
  expect(read(await talk(text))).toEqual({ status, code, retryAfter: undefined })
})

test.each([
  ['a body', 'POST /body HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{'],
  ['a header', 'POST /body HTTP/1.1\r\nhost: x\r\n'],
])('%s that does not arrive is cut, and may be sent again', async (_name, text) => {
  expect(read(await talk(text))).toEqual({ status: 408, code: 'REQUEST_TIMEOUT', retryAfter: '1' })
})

test('a request that comes while the server closes is told to come back', async () => {
  const own = makeApp()
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  const entered = new Promise<void>((resolve) =>
    own.get('/slow', async () => {
      resolve()
      await held
      return {}
    }),
  )
  const closing = new Promise<void>((resolve) => own.addHook('preClose', async () => resolve()))
  const answered = new Promise<void>((resolve) =>
    own.addHook('onSend', async (_request, reply) => void (reply.statusCode === 503 && resolve())),
  )
  await own.listen({ host: '127.0.0.1', port: 0 })
  const { socket, closed } = await open(own)
  socket.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
  await entered
  const done = own.close()
  await closing
  socket.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
  await answered
  release()
  const [, second = ''] = (await closed).split(/(?=HTTP\/1\.1 503)/)
  expect(read(second)).toEqual({ status: 503, code: 'NOT_READY', retryAfter: '5' })
  await done
})

test('a handler may take longer than a connection may be quiet, where it is let', async () => {
  const ask = (path: string) => talk(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  expect(await ask('/cut')).toBe('')
  expect(await ask('/let')).toContain('{"quiet":3}')
})
