#!/bin/sh
# Flights and cancellations of each airport of origin, in plain shell and awk.
set -eu
data="${KBC_DATADIR:-/data/}"
input="${data%/}/in/tables/flights.csv"
output="${data%/}/out/tables/origins.csv"

if [ ! -f "$input" ]; then
    echo "Input table flights.csv is missing; add it to the input mapping." >&2
    exit 1
fi
echo "counting $(($(wc -l < "$input") - 1)) flights"
awk -v name=flights.csv -f "$(dirname "$0")/origins.awk" "$input" > "$output"
printf '{"primary_key": ["origin"]}' > "$output.manifest"
echo "found $(($(wc -l < "$output") - 1)) airports"
