import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** acked: a 202 said so, at any try; rejected: refused for good; unknown: no try got an answer. */
export type Outcome = 'acked' | 'rejected' | 'unknown'

/** What a sender knows of an event it sent. */
export interface Sent {
  readonly deployment: string
  readonly id: string
  /** `hashContent` of what has to be stored. */
  readonly content: string
  /** Belongs into `failed_events`. */
  readonly isLate: boolean
  outcome: Outcome
}

/** Events by `journalKey`. */
export type Journal = ReadonlyMap<string, Sent>

/** What of an event must come out of the store as it went in. Missing text is ''. */
export interface Content {
  readonly at: number
  readonly name: string
  readonly host: string
  readonly path: string
  readonly note: string
  readonly journey: string
  readonly journeyId: string
  readonly outcome: string
  readonly rating: number
}

/** The same id under two deployments is two events. */
export const journalKey = (deployment: string, id: string): string => `${deployment}/${id}`

export function hashContent(content: Content): string {
  const { at, name, host, path, note, journey, journeyId, outcome, rating } = content
  const said = JSON.stringify([at, name, host, path, note, journey, journeyId, outcome, rating])
  return createHash('sha256').update(said).digest('hex').slice(0, 16)
}

export interface JournalFile {
  /** Before an event leaves for the first time. */
  sending(events: readonly Omit<Sent, 'outcome'>[]): void
  /** After an answer that names its outcome. */
  answered(deployment: string, ids: readonly string[], outcome: 'acked' | 'rejected'): void
  close(): void
}

/** Opens an append-only journal: a line an event before it is sent, a line more once it is answered. */
export function openJournal(file: string): JournalFile {
  const fd = openSync(file, 'a', 0o600)
  const write = (lines: readonly string[]): void => {
    if (lines.length > 0) writeSync(fd, `${lines.join('\n')}\n`)
  }
  return {
    sending: (events) =>
      write(
        events.map(
          ({ deployment, id, content, isLate }) => `sent ${deployment} ${id} ${content} ${isLate ? 'late' : 'timely'}`,
        ),
      ),
    answered: (deployment, ids, outcome) => write(ids.map((id) => `${outcome} ${deployment} ${id}`)),
    close: () => closeSync(fd),
  }
}

/** Reads a journal back. An event once acknowledged stays so, whatever a later copy of it was told. */
export function readJournal(file: string): Map<string, Sent> {
  const journal = new Map<string, Sent>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue
    const [word, deployment = '', id = '', content = '', lateness] = line.split(' ')
    const key = journalKey(deployment, id)
    const known = journal.get(key)
    if (word === 'sent') {
      if (known) throw new Error(`${key} was journalled twice`)
      journal.set(key, {
        deployment,
        id,
        content,
        isLate: lateness === 'late',
        outcome: 'unknown',
      })
    } else if (known && (word === 'acked' || word === 'rejected')) {
      if (known.outcome !== 'acked') known.outcome = word
    } else {
      throw new Error(`the journal has a line that says nothing: ${line}`)
    }
  }
  return journal
}
