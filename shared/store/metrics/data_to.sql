-- Up to when everything that was accepted is in the store.
SELECT deployment, toString(toUnixTimestamp64Milli(max(received_to))) AS data_to
FROM ledger
WHERE deployment IN {deployments:Array(String)}
GROUP BY deployment
