import fc from 'fast-check'
import { expect, test } from 'vitest'
import { html, raw } from '../src/html.ts'

test('values are escaped, markup is kept, lists are joined and nothing is nothing', () => {
  expect(html`<p title="${'"x"'}">${'<b>'}${html`<i>${'&'}</i>`}${[1, null, false, 'two']}</p>`.markup).toBe(
    '<p title="&quot;x&quot;">&lt;b&gt;<i>&amp;</i>1two</p>',
  )
  expect(html`${raw('<br>')}${undefined}`.markup).toBe('<br>')
})

test('whatever the text, no markup of it survives', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(html`${text}`.markup).not.toMatch(/[<>"']/)
    }),
  )
})
