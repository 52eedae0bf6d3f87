// Writes the boards' files for Grafana: `npm run grafana`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findRoot } from '@footfall/config/root'
import { boardFiles, boardsDirectory } from './files.ts'

const directory = join(findRoot(), boardsDirectory)
// A board that is no more leaves no file behind.
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
for (const [name, json] of boardFiles()) writeFileSync(join(directory, name), json)
