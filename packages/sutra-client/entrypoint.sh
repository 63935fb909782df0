#!/bin/sh
# Fills the nginx configuration from the environment and starts nginx. `entrypoint.sh healthcheck` requests /health instead.
set -eu

# nginx and URLs need brackets around an IPv6 address.
case ${HOST:=} in
  \[*) ;;
  *:*:*) HOST="[$HOST]" ;;
esac
export HOST

if [ "${1:-}" = healthcheck ]; then
  exec curl --noproxy '*' --fail --silent --show-error --globoff --output /dev/null "http://$HOST:$PORT/health"
fi

# nginx does not support zones (`fe80::1%eth0`).
: "${RESOLVER:=$(awk '$1 == "nameserver" && $2 !~ /%/ { print ($2 ~ /:/ ? "[" $2 "]" : $2); exit }' /etc/resolv.conf)}"
if [ -z "$RESOLVER" ]; then
  echo "entrypoint: no nameserver in /etc/resolv.conf; set RESOLVER to the address of a name server" >&2
  exit 2
fi
export RESOLVER

# Values must not contain characters that could end or open an nginx directive.
for name in HOST PORT API_URL LOG_LEVEL RESOLVER; do
  value=$(printenv "$name" || true)
  case $value in
    '' | *[!A-Za-z0-9:/.,_@%~?=\&+!*\(\)\[\]-]*)
      echo "entrypoint: invalid value of $name: it is empty or contains a character that is not allowed in the nginx configuration; correct it" >&2
      exit 2
      ;;
  esac
done

# The explicit list leaves nginx's own \$variables unchanged.
envsubst '${HOST} ${PORT} ${API_URL} ${LOG_LEVEL} ${RESOLVER}' < /etc/nginx/nginx.conf.template > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
