import { superviseEmbeddedClickHouse } from '../services/embedded-clickhouse/src/supervise.ts'
import { openStore } from '../shared/store/src/open.ts'
const e = await superviseEmbeddedClickHouse({directory:'/tmp/demo1/store', onLog:console.log})
const s = openStore({url:e.url,user:e.user,password:e.password})
const p={deployments:['street-report-tampere'],from:'2026-10-26',to:'2026-11-24',dimension:'page'}
const A='(deployments={deployments:Array(String)},from={from:Date},to={to:Date}'
const time = async (n:string, q:string)=>{ await s.query(q,p); const t=Date.now(); for(let i=0;i<5;i++) await s.query(q,p); console.log(n, (Date.now()-t)/5) }
await time('select 1','select 1')
await time('fold_daily','select sum(page_views) from fold_daily where deployment in {deployments:Array(String)} and local_day between {from:Date} and {to:Date}')
await time('clean_days',`select count() from clean_days${A})`)
await time('raw_days',`select count() from raw_days${A},all_days=0)`)
await time('raw_sessions',`select count() from raw_sessions${A},all_days=0)`)
await time('raw_daily',`select sum(page_views) from raw_daily${A},all_days=0)`)
await time('daily',`select sum(page_views) from daily${A})`)
await time('dimensions',`select value, sum(uses) from dimensions${A},dimension={dimension:String}) group by value`)
await time('journeys',`select sum(started) from journeys${A})`)
await time('raw_journeys',`select sum(started) from raw_journeys${A},all_days=0)`)
console.log(await s.query(`select table, sum(rows) r, count() parts from system.parts where active and database='footfall' group by 1`))
await s.close(); await e.close()
