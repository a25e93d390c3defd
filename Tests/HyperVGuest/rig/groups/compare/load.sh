# shellcheck shell=dash
# The same load for everybody: of a disk and of a link, with the guest's exits by KVM's count.

# Reports a figure, and keeps it for comparisons.
measured() {
  mkdir -p /run/measured
  echo "$2" >>"/run/measured/$1"
  value "$1" "$2"
}

# The median of what was measured under a name.
median() {
  sort -n "/run/measured/$1" | awk '{ values[NR] = $1 } END { print values[int((NR + 1) / 2)] }'
}

# disk_load NAME FILE: small reads at depth 1 and 32, long reads.
disk_load() {
  for job in "randread 4k 1" "randread 4k 32" "read 1m 4"; do
    # shellcheck disable=SC2086
    set -- "$1" "$2" $job
    before="$(l1 exits)"
    fio --name=load --filename="$2" --size=96M --direct=1 --rw="$3" --bs="$4" --iodepth="$5" --ioengine=libaio \
      --time_based --runtime="${load_seconds:-3}" --output-format=terse --terse-version=3 >/run/fio
    after="$(l1 exits)"
    # Field 6: KiB read; 8: requests per second.
    requests="$(cut -d';' -f8 </run/fio)"
    total="$(awk -F';' -v size="${4%?}" -v unit="${4#"${4%?}"}" \
      '{ print int($6 / (size * (unit == "m" ? 1024 : 1))) }' </run/fio)"
    measured "$1-$3-$4-$5" "$requests"
    measured "$1-$3-$4-$5-exits" "$(awk -v exits=$((after - before)) -v count="$total" 'BEGIN { printf "%.1f", exits / count }')"
  done
}

# link_load NAME: the time of a ping in microseconds, and streams in both directions in Mbit/s.
link_load() {
  # The first ones find the neighbour.
  ping -q -c 3 10.77.0.1
  before="$(l1 exits)"
  ping -q -c 200 -i 0.01 10.77.0.1 >/run/ping
  after="$(l1 exits)"
  measured "$1-ping-us" "$(awk -F/ '/^rtt/ { printf "%.0f", $5 * 1000 }' </run/ping)"
  measured "$1-ping-exits" "$(((after - before) / 200))"
  iperf3 --client 10.77.0.1 --time "${load_seconds:-3}" --format m >/run/iperf
  measured "$1-tcp-send" "$(awk '/sender/ { print $7 }' </run/iperf)"
  iperf3 --client 10.77.0.1 --time "${load_seconds:-3}" --reverse --format m >/run/iperf
  measured "$1-tcp-receive" "$(awk '/receiver/ { print $7 }' </run/iperf)"
}
