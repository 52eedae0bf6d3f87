import type * as cog from '@grafana/grafana-foundation-sdk/cog'
import type { DataSourceRef } from '@grafana/grafana-foundation-sdk/common'

/** The datasource plugin, as every query and the provisioning name it. */
export const plugin = { id: 'grafana-clickhouse-datasource', version: '4.20.0' } as const

/** Chosen by the board's first variable, so that one file serves every installation. */
export const datasource: DataSourceRef = { type: plugin.id, uid: '${ds}' }

/** A query of the ClickHouse plugin, which the SDK does not know. */
export interface ClickHouseQuery extends cog.Dataquery {
  readonly refId: string
  readonly datasource: DataSourceRef
  readonly editorType: 'sql'
  readonly queryType: 'timeseries' | 'table'
  /** What the plugin's backend obeys: 0 time series, 1 table. */
  readonly format: 0 | 1
  /** Without it the editor takes the query for one of version 3 and rewrites it. */
  readonly pluginVersion: string
  readonly rawSql: string
}

/** A statement as a query of a panel. */
export const clickHouseQuery = (
  rawSql: string,
  queryType: ClickHouseQuery['queryType'],
): cog.Builder<ClickHouseQuery> => ({
  build: () => ({
    refId: 'A',
    datasource,
    editorType: 'sql',
    queryType,
    format: queryType === 'table' ? 1 : 0,
    pluginVersion: plugin.version,
    rawSql,
    // The SDK's mark of a query; a function, so it leaves no trace in the file.
    _implementsDataqueryVariant: () => undefined,
  }),
})
