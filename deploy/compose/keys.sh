#!/bin/sh
# Prints fresh keys and passwords for compose.yaml, in the form of an .env file (keep it at mode 0600).
set -eu
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
echo "NEEDLETAIL_CLIENT_KEY=nt_client_$(random)"
echo "NEEDLETAIL_WORKER_KEY=nt_worker_$(random)"
echo "NEEDLETAIL_ADMIN_KEY=nt_admin_$(random)"
echo "POSTGRES_PASSWORD=$(random)"
