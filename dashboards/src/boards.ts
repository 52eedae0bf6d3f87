import type { Board } from './board.ts'
import { dataQuality, dataQualitySection } from './data-quality.ts'
import { deploymentBoard } from './deployment.ts'
import { pipelineHealth } from './pipeline-health.ts'
import { programmeOverview } from './programme-overview.ts'

/** One deployment's board as it is shown: closed by its data quality. */
export const deploymentWithQuality: Board = {
  ...deploymentBoard,
  sections: [...deploymentBoard.sections, dataQualitySection],
}

/** Every board there is. */
export const boards: readonly Board[] = [programmeOverview, deploymentWithQuality, dataQuality, pipelineHealth]
