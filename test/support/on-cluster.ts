/** Whether the tests run on the cluster of CITUS_URL, each file on a distributed database. */
export const onCluster = Boolean(process.env.CITUS_URL);
