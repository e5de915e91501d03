#!/bin/bash
# setup.sh: makes the peers that Signalbox is measured against, below .build/peers: what Debian has is installed where that is allowed,
# Python's websockets comes from PyPI, SwiftNIO from its repository. What cannot be had is said, and the suite leaves it out.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/.build/peers
peers=Benchmarks/Peers
mkdir -p "$out"

missing() { echo "peers: no $1: $2"; }

packages=()
for package in nodejs node-ws python3-venv libwebsockets-dev nginx-light libnginx-mod-nchan gearman-job-server redis-server; do
    case $package in
    nodejs) node --version ;;
    node-ws) NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs node -e 'require.resolve("ws")' ;;
    python3-venv) python3 -c 'import ensurepip, venv' ;;
    *) dpkg -s "$package" ;;
    esac > /dev/null 2>&1 || packages+=("$package")
done
if [ ${#packages[@]} -gt 0 ]; then
    root=(env DEBIAN_FRONTEND=noninteractive)
    [ "$(id -u)" = 0 ] || root=(sudo -n "${root[@]}")
    echo "Installing ${packages[*]}"
    "${root[@]}" apt-get update -qq
    # One by one: the lack of one keeps no other away. A server that starts itself is no concern of ours, but would take our cores.
    for package in "${packages[@]}"; do
        "${root[@]}" RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$package" > /dev/null || missing "$package" "apt-get"
    done
fi

if [ ! -x "$out/venv/bin/python" ] || ! "$out/venv/bin/python" -c 'import websockets.asyncio.server' 2> /dev/null; then
    python3 -m venv --clear "$out/venv" &&
        "$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$peers/Python/requirements.txt" ||
        missing "Python websockets" "pip"
fi

if [ "$peers/LibWebSockets/peer.c" -nt "$out/lws-peer" ]; then
    cc -O3 -Wall -Wextra "$peers/LibWebSockets/peer.c" -lwebsockets -o "$out/lws-peer" || missing libwebsockets "cc"
fi

swift build -c release --package-path "$peers/NIO" --scratch-path "$out/nio" --product nio-peer 2>&1 | tail -1 ||
    missing SwiftNIO "swift build"
exit 0
