#!/usr/bin/env node
// The `footfall` command: runs what `npm run build` made (npm ci builds it).
import '../../../dist/footfall.js'
