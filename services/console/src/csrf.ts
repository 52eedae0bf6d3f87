import type { FastifyRequest } from 'fastify'

/**
 * True when a form was sent by a page of ours. Browsers name the origin of every POST; a request that names none is no
 * browser's form and carries no ambient sign-in worth protecting, yet is refused too: nothing of ours sends it.
 */
export function isOwnForm(request: Pick<FastifyRequest, 'headers'>, publicUrl: string): boolean {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  if (origin === undefined) return site === 'same-origin'
  try {
    const url = new URL(origin)
    return url.host === host || url.origin === new URL(publicUrl).origin
  } catch {
    return false
  }
}

/** True when a link is only being looked at in advance: it must not be used up by that. */
export function isPrefetch(request: Pick<FastifyRequest, 'headers' | 'method'>): boolean {
  const { headers } = request
  const purposes = [headers['sec-purpose'], headers.purpose, headers['x-purpose'], headers['x-moz']].map(String)
  return request.method === 'HEAD' || purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose))
}
