#!/usr/bin/env bash
# Makes sure that everything is there that the tests need: on Debian it installs what is missing, as root or with sudo; elsewhere it says in one line
# what is missing. With --check it installs nothing. make test begins with it.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { # PROGRAM PACKAGE...
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("${@:2}")
}
need gcc gcc libc6-dev # for the race detector
need openssl openssl
need mosquitto mosquitto
need mosquitto_sub mosquitto-clients
need redis-server redis-server
need redis-sentinel redis-sentinel
need chromium chromium # the phone's page
need curl curl
fc-list :lang=zh 2>/dev/null | grep -q . || missing+=(fontconfig fonts-wqy-microhei)
need ip iproute2           # the sentinel's partitions, the doctor's laboratory
need nft nftables          # the laboratory's faults; what the doctor says of a firewall is compared with the kernel
need iptables-save iptables
need nginx nginx-light # what stands in front of brokers, for the laboratory
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
need promtool prometheus # reads the metrics, and checks the alerts in deploy
need caddy caddy # of the examples in deploy
need python3 python3
need haproxy haproxy
need stunnel4 stunnel4
need dnsmasq dnsmasq-base
need tshark tshark # reads the captures of picket ctl trace
need node nodejs
need npm npm
/usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || missing+=(python3-paho-mqtt)

if [ ${#missing[@]} -gt 0 ]; then
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    if [ "${1:-}" = --check ] || ! command -v apt-get >/dev/null || ! "${root[@]}" true 2>/dev/null; then
        echo "The tests need what is not here: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
fi

# What the phone's page is made of, MQTT.js, and Playwright: where they are not there, or not as the lock file says.
find . -name package-lock.json -not -path '*/node_modules/*' | while read -r lock; do
    dir=$(dirname "$lock")
    if [ "$lock" -nt "$dir/node_modules/.package-lock.json" ]; then
        npm ci --prefix "$dir" --no-audit --no-fund --silent
        touch "$dir/node_modules/.package-lock.json"
    fi
done
