#!/bin/sh
# Joins the nodes to one Citus cluster, and lets each connect to the others as the roles of the server. It may be run again, and
# after a worker was added to NODES: hosts, or host:port. The first of them is the coordinator.
#
#   NODES="coordinator worker-1 worker-2" PGUSER=metrology PGDATABASE=metrology PGPASSWORD=… NODES_PASSWORD=… join-nodes.sh
set -eu
coordinator=${NODES%% *}

host() { echo "${1%:*}"; }
port() { case $1 in *:*) echo "${1##*:}" ;; *) echo 5432 ;; esac; }

on() { # on NODE: runs the statements of standard input there
  psql --host="$(host "$1")" --port="$(port "$1")" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --set=owner="$PGUSER" --set=owner_password="$PGPASSWORD" --set=nodes_password="$NODES_PASSWORD" --output=/dev/null
}

for node in $NODES; do
  # Of every node (0) and of the node itself (-1). Whoever reads this table is a superuser.
  on "$node" <<'SQL'
insert into pg_dist_authinfo (nodeid, rolename, authinfo)
select nodeid, rolename, 'password=' || password
from (values (0), (-1)) as node (nodeid),
     (values (:'owner', :'owner_password'), ('metrology_api', :'nodes_password'), ('metrology_service', :'nodes_password')) as role (rolename, password)
on conflict (rolename, nodeid) do update set authinfo = excluded.authinfo;
SQL
done

echo "select citus_set_coordinator_host('$(host "$coordinator")', $(port "$coordinator"));" | on "$coordinator"
for node in ${NODES#* }; do
  echo "select citus_add_node('$(host "$node")', $(port "$node"));" | on "$coordinator"
done

# Citus makes and changes the roles on the workers too.
on "$coordinator" <<'SQL'
select format('create role %I', name) from unnest(array['metrology_api', 'metrology_service']) as name
where not exists (select from pg_roles where rolname = name) \gexec
select format('alter role %I login password %L', name, :'nodes_password')
from unnest(array['metrology_api', 'metrology_service']) as name \gexec
SQL
