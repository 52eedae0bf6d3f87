import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'

const texts = new Map<string, string>()

/** The text of `shared/store/queries/<name>.sql`. */
export function readQuery(name: string): string {
  let text = texts.get(name)
  if (text === undefined) {
    text = readFileSync(join(findRoot(), 'shared/store/queries', `${name}.sql`), 'utf8')
    texts.set(name, text)
  }
  return text
}
