import { superviseEmbeddedClickHouse } from '../services/embedded-clickhouse/src/supervise.ts'
import { openStore } from '../shared/store/src/open.ts'
import { migrate } from '../shared/store/src/migrate.ts'
import { dirtyDays, foldDays, checkFolds } from '../shared/store/src/fold.ts'
import { rmSync } from 'node:fs'
rmSync('/tmp/try-store',{recursive:true,force:true})
const e = await superviseEmbeddedClickHouse({directory:'/tmp/try-store', onLog:console.log})
const s = openStore({url:e.url,user:e.user,password:e.password})
try {
console.log(await migrate(s,'shared/store/migrations'))
await s.command(`insert into events (deployment, local_day, local_hour, visitor, at, received_at, id, name, path, journey, journey_id, rating, seq, page)
 select 'd'||toString(number%3), toDate('2026-01-01')+ intDiv(number,3000), 0, 1+cityHash64(number%700), toDateTime64('2026-01-01 00:00:00',3,'UTC') + intDiv(number,3000)*86400 + (number%3000)*20, now64(3), generateUUIDv4(),
 ['page_view','journey_start','journey_complete','rating'][1+cityHash64(number,1)%4] as name, '/p'||toString(cityHash64(number,2)%50), if(name like 'journey%','pay',''), if(number%5=0,'j'||toString(intDiv(number,50)),''), if(name='rating',1+number%5,0), number%4, 1+intDiv(number,4) from numbers(90000)`)
await s.command(`insert into day_marks select deployment, local_day, 1 from events group by 1,2`)
const p={deployments:['d0','d1','d2'],from:'2026-01-01',to:'2026-02-01'}
for (const v of ['daily','journeys']) { const t=Date.now(); console.log(await s.query(`select deployment, count() c, sum(${v==='daily'?'page_views':'started'}) a, sum(${v==='daily'?'sessions':'completed'}) b from ${v}(deployments={deployments:Array(String)},from={from:Date},to={to:Date}) group by deployment order by 1`,p), Date.now()-t) }
console.log(await s.query(`select value, sum(uses) u from dimensions(deployments={deployments:Array(String)},from={from:Date},to={to:Date},dimension='page') group by 1 order by 2 desc limit 3`,p))
let t=Date.now(); const dd=await dirtyDays(s,()=> '2026-12-01'); console.log(dd.length, dd[0]); await foldDays(s,dd,{version:Date.now()}); console.log('fold',Date.now()-t, (await dirtyDays(s,()=>'2026-12-01')).length)
console.log(await checkFolds(s))
for (const v of ['daily','journeys']) { const t=Date.now(); console.log(await s.query(`select deployment, count() c, sum(${v==='daily'?'page_views':'started'}) a, sum(${v==='daily'?'sessions':'completed'}) b from ${v}(deployments={deployments:Array(String)},from={from:Date},to={to:Date}) group by deployment order by 1`,p), Date.now()-t) }
} catch(err) { console.log('ERR', String(err).slice(0,1500)) }
await s.close(); await e.close()
