#!/bin/sh
# Fills nginx's configuration from the environment and becomes nginx.
set -eu

: "${RESOLVER:=$(awk '$1 == "nameserver" { print ($2 ~ /:/ ? "[" $2 "]" : $2); exit }' /etc/resolv.conf)}"
if [ -z "$RESOLVER" ]; then
  echo "entrypoint: /etc/resolv.conf names no nameserver; set RESOLVER to the address of one" >&2
  exit 2
fi
export RESOLVER

# What could end or open an nginx directive has no place in a value.
for name in HOST PORT API_URL LOG_LEVEL RESOLVER; do
  value=$(printenv "$name" || true)
  case $value in
    '' | *[!A-Za-z0-9:/.,_@%~?=\&+!*\(\)\[\]-]*)
      echo "entrypoint: $name is empty or holds a character that has no place in nginx's configuration; correct it" >&2
      exit 2
      ;;
  esac
done

# Named one by one, so that nginx's own \$variables stay.
envsubst '${HOST} ${PORT} ${API_URL} ${LOG_LEVEL} ${RESOLVER}' < /etc/nginx/nginx.conf.template > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
