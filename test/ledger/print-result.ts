import type { MatrixResult } from './matrix.ts'

/** Prints what a matrix came to: a line a phase, what was said, and the verdict. */
export function printResult(result: MatrixResult, speaker: string): void {
  console.table(
    result.phases.map(({ phase, injections, seconds, report: { faults, known } }) => ({
      phase,
      injections,
      seconds,
      acked: known.acked,
      lost: faults.lost,
      duplicated: faults.duplicated,
      swapped: faults.swapped,
      foreign: faults.foreign + faults.rejectedFound,
      folds: faults.foldDifferences + faults.dayDifferences,
      ledger: faults.ledgerDifference + faults.ledgerGaps,
    })),
  )
  for (const [message, times] of Object.entries(result.messages))
    console.log(`      ${times} × ${speaker} said: ${message}`)
  const last = result.phases.at(-1)?.report.known
  if (last) {
    console.log(
      `${last.acked} acknowledged, ${last.rejected} refused, ${last.unknownStored + last.unknownAbsent} unanswered (${last.unknownStored} of them stored), ` +
        `${last.failed} late, ${last.deduplicated} second copies, ${last.cleanDays} folded days.`,
    )
  }
  console.log(
    result.clean
      ? 'Every acknowledged event is there exactly once; folds and ledger are what the events say.'
      : `WRONG (seed ${result.seed}): ${result.stoppedBy}`,
  )
}
