import type { Delivery, Refusal } from '../delivery.ts'

const localHost = /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/
/** Listed among the origins, it counts pages of this machine whatever their port: for trying things out. */
const anyLocalPort = 'http://localhost'

/** The origin of the page: the Origin header, else that of the Referer (a pixel carries no Origin). */
function pageOrigin(delivery: Delivery): string | null {
  const { origin, referer } = delivery.headers
  if (origin !== undefined) return origin === 'null' ? null : origin
  if (referer === undefined) return null
  try {
    return new URL(referer).origin
  } catch {
    return null
  }
}

/**
 * Lets a public key be used only by the pages of its deployment. The origin can be forged outside a browser: this
 * raises the cost of a forgery and catches honest mistakes; the quota limits the rest.
 */
export function checkOrigin(delivery: Delivery): Refusal | null {
  const { owner } = delivery
  if (!owner || owner.kind === 'server') return null
  const origin = pageOrigin(delivery)
  if (origin === null) return { code: 'ORIGIN_NOT_ALLOWED', reason: 'origin_not_allowed', where: 'no origin was sent' }
  const { origins, test_origins } = owner.deployment
  const local = localHost.test(origin)
  const counted = origins.includes(origin) || (local && origins.includes(anyLocalPort))
  if (!counted && !local && !test_origins.includes(origin)) {
    return { code: 'ORIGIN_NOT_ALLOWED', reason: 'origin_not_allowed', where: 'origin' }
  }
  delivery.origin = origin
  if (!counted) delivery.test = true
  return null
}
