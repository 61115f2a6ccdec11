#!/bin/sh
# Runs Avahi with a message bus of its own, in the network namespace that it is started in. Each line of input is a command to run
# beside it. Ends when its input does. Needs root, dbus-daemon, avahi-daemon and avahi-utils.
set -eu
scratch=$1
mkdir -p "$scratch/run"
mount --bind "$scratch/run" /run
mkdir -p /run/avahi-daemon /run/dbus
cat > "$scratch/bus.conf" <<XML
<busconfig><type>system</type><listen>unix:path=/run/dbus/socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
XML
cat > "$scratch/avahi.conf" <<INI
[server]
host-name=avahi-host
use-ipv4=yes
use-ipv6=no
allow-interfaces=fst0
[publish]
publish-hinfo=no
publish-workstation=no
INI
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/socket
dbus-daemon --config-file="$scratch/bus.conf" --nofork --nosyslog & bus=$!
while [ ! -S /run/dbus/socket ]; do sleep 0.05; done
avahi-daemon --no-drop-root --no-chroot --no-rlimits --file="$scratch/avahi.conf" >&2 & daemon=$!
trap 'kill $daemon $bus 2>/dev/null; wait' EXIT
tries=0
until dbus-send --system --print-reply --dest=org.freedesktop.Avahi / org.freedesktop.Avahi.Server.GetState 2>/dev/null | grep -q 'int32 2'; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.1
done
echo ready
while read -r line; do sh -c "$line" & done
