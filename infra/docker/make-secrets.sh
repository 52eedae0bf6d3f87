#!/bin/sh
# Makes what the services of docker-compose.yml sign in with, one directory for each that may read it. What is there
# stays: it runs at every start, and after one of the directories was emptied.
# usage: make-secrets.sh DIRECTORY
set -eu
umask 077
cd "$1"

# Prints the password in a file, after making it if there is none.
password() {
  mkdir -p "$(dirname "$1")"
  # Written whole or not at all.
  [ -s "$1" ] || { od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1.new" && mv "$1.new" "$1"; }
  cat "$1"
}
# Writes a file that follows from the passwords.
keep() {
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"
}
hash() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

writer=$(password writer/password)
console=$(password console/password)
boards=$(password grafana/footfall_boards_password)
password grafana/admin_password >/dev/null
jobs=$(password redis-jobs/password)
salts=$(password redis-salts/password)

keep writer/store_url "http://footfall_writer:$writer@clickhouse:8123/footfall"
keep writer/job_queue_url "redis://:$jobs@redis-jobs:6379/0"
keep console/store_url "http://footfall_console:$console@clickhouse:8123/footfall"
keep console/job_queue_url "redis://:$jobs@redis-jobs:6379/0"
keep ingest/salt_redis_url "redis://:$salts@redis-salts:6379/0"
keep redis-jobs/redis.conf "requirepass $jobs"
keep redis-salts/redis.conf "requirepass $salts"
keep clickhouse/hashes "FOOTFALL_WRITER_SHA256=$(hash "$writer")
FOOTFALL_CONSOLE_SHA256=$(hash "$console")
FOOTFALL_BOARDS_SHA256=$(hash "$boards")"

# Each image has its own user. Elsewhere than in the container the caller keeps them.
if [ "$(id -u)" = 0 ]; then
  chown -R 10001:10001 writer console ingest
  chown -R 101:101 clickhouse
  chown -R 999:999 redis-jobs redis-salts
  chown -R 472:0 grafana
fi
