import { boards, deploymentWithQuality } from '../boards.ts'
import { toGrafana, uidOf } from './dashboard.ts'

/** Folder of the boards, below the project's; Grafana shows the last part as the boards' folder. */
export const boardsDirectory = 'infra/grafana/dashboards/Footfall'

/** Every board's file, by name. */
export const boardFiles = (): Map<string, string> =>
  new Map(boards.map((board) => [`${uidOf(board)}.json`, toGrafana(board, deploymentWithQuality)]))
