import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { examinePage, findTags, policyAllows } from '../src/examine-page.ts'
import type { Server } from '../src/server.ts'

type Headers = Record<string, string | string[]>

/** A site that serves one page, and the script beside it. */
let site: HttpServer
let origin: string
let answer: { body: string; headers: Headers }

beforeAll(async () => {
  site = createServer(({ url }, response) => {
    if (url === '/cut') {
      // The head is there, the body never is.
      response.writeHead(200, { 'content-length': '100' }).write('<!doctype html>', () => response.destroy())
    } else if (url?.endsWith('.js')) response.end('void 0')
    else response.writeHead(200, { 'content-type': 'text/html', ...answer.headers }).end(answer.body)
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
})
afterAll(async () => {
  await new Promise((resolve) => site.close(resolve))
})
beforeEach(() => {
  answer = { body: '', headers: {} }
})

const registered = (mode: string): Server => ({
  url: origin,
  publicUrl: origin,
  pid: 1,
  token: '',
  request: <Answer>() =>
    Promise.resolve({
      deployments: [{ id: 'app', origins: [origin], test_origins: [], mode, keys: ['pk_known'] }],
    } as Answer),
})

/** What is wrong with a page that has this in its head, by the errors and warnings that doctor prints. */
async function complaints(head: string, headers: Headers = {}, mode = 'exempt'): Promise<string[]> {
  answer = { body: `<!doctype html><html><head>${head}</head></html>`, headers }
  const findings = await examinePage(`${origin}/`, registered(mode))
  return findings.filter(({ level }) => level !== 'ok').map(({ level, what }) => `${level}: ${what}`)
}

const tag = (more = '', key = 'pk_known') => `<script defer src="/footfall.js" data-key="${key}"${more}></script>`

describe('a page', () => {
  test.each([
    ['the snippet', tag(), []],
    [
      'a > within an attribute before the key',
      `<script title="a > b" src="/footfall.js" data-key='pk_known'></script>`,
      [],
    ],
    ['attributes without quotes', '<script src=/footfall.js data-key=pk_known defer></script>', []],
    ['no tag', '<script src="/other.js"></script>', ['error: no script tag with data-key is on the page']],
    ['no src', '<script data-key="pk_known"></script>', ['error: the tag has no src']],
    [
      'a src that is no address',
      '<script src="https://:x/footfall.js" data-key="pk_known"></script>',
      ['error: the tag’s src is no address: https://:x/footfall.js'],
    ],
    [
      'a data-endpoint that is no address',
      tag(' data-endpoint="https://"'),
      ['error: the tag’s data-endpoint is no address: https://'],
    ],
    ['an unknown key', tag('', 'pk_other'), ['error: the key is unknown here']],
    [
      'a module',
      tag(' type="module"'),
      ['error: the tag has type="module": such a script cannot read its own tag, and measures nothing'],
    ],
    ['two tags', tag() + tag(), ['warning: the tag is on the page 2 times: only the first counts']],
  ])('%s', async (_name, head, expected) => {
    expect(await complaints(head)).toEqual(expected)
  })

  test.each([
    ['exempt', '', []],
    ['exempt', ' data-mode="exempt"', []],
    ['consent', ' data-mode="consent"', []],
    ['consent', '', ['error: the tag’s mode is exempt, the deployment’s is consent']],
    ['exempt', ' data-mode="consent"', ['error: the tag’s mode is consent, the deployment’s is exempt']],
    ['off', ' data-mode="off"', ['warning: measurement of this deployment is switched off']],
    [
      'off',
      '',
      [
        'error: the tag’s mode is exempt, the deployment’s is off',
        'warning: measurement of this deployment is switched off',
      ],
    ],
  ])('of a deployment in mode %s with the attribute "%s"', async (mode, attribute, expected) => {
    expect(await complaints(tag(attribute), {}, mode)).toEqual(expected)
  })

  test('policies in one header, in several, and in the page all hold', async () => {
    const script = 'error: the page’s policy forbids the script'
    const sending = 'error: the page’s policy forbids sending'
    const policy = (value: string | string[]): Headers => ({ 'content-security-policy': value })
    expect(await complaints(tag(), policy("default-src 'self'"))).toEqual([])
    expect(await complaints(tag(), policy("default-src 'self', connect-src 'none'"))).toEqual([sending])
    expect(await complaints(tag(), policy(["connect-src 'none'", "script-src 'none'"]))).toEqual([sending, script])
    const meta = '<meta content="script-src &#39;none&#39;" http-equiv="Content-Security-Policy">'
    expect(await complaints(meta + tag())).toEqual([script])
    expect(await complaints(tag(' nonce="n"'), policy("default-src 'self' 'nonce-n' 'strict-dynamic'"))).toEqual([])
    const strict = policy("script-src 'nonce-r4nd0m' 'strict-dynamic'")
    expect(await complaints(tag(' nonce="r4nd0m"'), strict)).toEqual([])
    expect(await complaints(tag(), strict)).toEqual([script])
  })

  test('that breaks off is reported, not thrown', async () => {
    const findings = await examinePage(`${origin}/cut`, null)
    expect(findings.map(({ level }) => level)).toEqual(['error'])
    expect(findings[0]!.what).toContain('cannot be fetched')
  })
})

test('attributes are read as a browser reads them', () => {
  const [found] = findTags(
    `<SCRIPT async src="/f.js?a=1&amp;b=2" data-key='pk_1' Data-Mode=consent data-key="pk_2" data-x="&#x2F;&#38;&quot;">`,
  )
  expect(found).toEqual({
    async: '',
    src: '/f.js?a=1&b=2',
    'data-key': 'pk_1',
    'data-mode': 'consent',
    'data-x': '/&"',
  })
})

test.each([
  ["script-src 'self'", false],
  ["script-src 'none'", false],
  ['script-src', false],
  ['script-src *', true],
  ['script-src https:', true],
  ['script-src http:', true],
  ['script-src wss:', false],
  ['script-src https://count.example', true],
  ['script-src HTTPS://Count.Example', true],
  ['script-src https://count.example:443', true],
  ['script-src count.example:*', true],
  ['script-src count.example:8443', false],
  ['script-src http://count.example', true],
  ['script-src count.example', true],
  ['script-src *.example', true],
  ['script-src *.count.example', false],
  ['script-src https://count.example/footfall.js', true],
  ['script-src https://count.example/other.js', false],
  ['script-src https://count.example/', true],
  ["script-src 'nonce-abc'", true],
  ["script-src 'nonce-other'", false],
  ["script-src 'nonce-abc' 'strict-dynamic'", true],
  ["script-src https://count.example 'nonce-other' 'strict-dynamic'", false],
  ["script-src 'sha384-xyz' 'strict-dynamic'", true],
  ["script-src-elem 'none'; script-src *", false],
  ['default-src *', true],
  ["script-src *; script-src 'none'", true],
  ["img-src 'none'", null],
  ['', null],
])('the policy "%s" lets the script through: %s', (policy, expected) => {
  const script = new URL('https://count.example/footfall.js')
  const own = new URL('https://app.example/page')
  const attributes = { nonce: 'abc', integrity: 'sha384-xyz' }
  expect(policyAllows(policy, ['script-src-elem', 'script-src', 'default-src'], script, own, attributes)).toBe(expected)
})
