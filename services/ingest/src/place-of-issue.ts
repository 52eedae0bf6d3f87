import { beaconEventSchema, beaconSchema, journeySchema } from '@footfall/contracts/beacon'

/** Field names that are ours; any other part of a path was chosen by the sender and may be a person's name. */
const ourFields = new Set<unknown>(
  [beaconSchema, beaconEventSchema, journeySchema].flatMap((schema) => Object.keys(schema.shape)),
)

/** Our words for what is wrong. zod's own name what was sent. */
const faults: Readonly<Record<string, string>> = {
  invalid_type: 'missing or of another type',
  invalid_union: 'of another type',
  invalid_format: 'of another form',
  invalid_key: 'has a name that is too short or too long',
  too_small: 'too small or too short',
  too_big: 'too large or too long',
  unrecognized_keys: 'has a field that is not known',
  custom: 'required for this event, or too many',
}

/**
 * Where the fault is and what it is, at most 100 characters: `events[0].url: too large or too long`. It goes into the
 * receipt, the log and the live view, so nothing in it comes from the sender.
 * @param root what the path begins at: `events[0]`, or '' for the request.
 */
export function placeOfIssue(
  root: string,
  issue: { readonly code: string; readonly path: readonly PropertyKey[] } | undefined,
): string {
  const path = (issue?.path ?? []).map((part) => (typeof part === 'number' || ourFields.has(part) ? String(part) : '…'))
  const place = [root, ...path].filter(Boolean).join('.') || 'the body'
  return `${place}: ${faults[issue?.code ?? ''] ?? 'not valid'}`.slice(0, 100)
}
