#!/bin/sh
# Registers the namespace that Surehook uses, if it is missing. TEMPORAL_* say
# which and where. A port that is open may belong to a server that is not
# healthy yet, so it tries for a minute.
set -eu

for _ in $(seq 60); do
  if temporal operator cluster health >/dev/null 2>&1; then
    temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 && exit 0
    # A finished run dedupes its event until it is deleted; the inbox does so
    # for ever after.
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 720h && exit 0
  fi
  sleep 1
done
echo "Temporal did not become healthy within a minute" >&2
exit 1
