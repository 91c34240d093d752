#!/bin/sh
# Runs every model fixture and puts the resulting table into docs/MODELS.md: models-table.sh BINARY
set -eu
binary=$1
table=$(mktemp)
trap 'rm -f "$table" "$table.md"' EXIT
"$binary" verify Tests/Fixtures/models --dtype float32 --table "$table"
"$binary" verify Tests/Fixtures/models --dtype auto | tail -1
awk -v table="$table" '
    /<!-- table -->/ { print; print ""; while ((getline line < table) > 0) print line; print ""; skip = 1 }
    /<!-- end of table -->/ { skip = 0 }
    !skip && !/<!-- table -->/ { print }
' docs/MODELS.md > "$table.md"
cp "$table.md" docs/MODELS.md
