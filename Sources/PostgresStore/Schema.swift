internal import Jobs

/// Tables, all in a schema of their own, `needletail`.
enum Schema {
    static let version = 2

    /// Brings the database up to date; several replicas may do so at once.
    static func migrate(_ connection: Connection) throws {
        let encoding = try connection.query("SELECT current_setting('server_encoding')::text").first { $0.text(0) } ?? ""
        guard encoding == "UTF8" else { throw StoreError.broken("the database's encoding is \(encoding); create one with encoding UTF8") }
        try connection.execute("BEGIN")
        // One replica at a time; let go with the transaction.
        try connection.execute("SELECT pg_advisory_xact_lock(5638164230211)")
        try connection.execute("CREATE SCHEMA IF NOT EXISTS needletail; CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
        let present = try connection.query("SELECT coalesce(max(version), 0) FROM schema_version").first { $0.int(0) } ?? 0
        guard present <= version else {
            try connection.execute("ROLLBACK")
            throw StoreError.broken("the database was written by a newer version of needletail (schema \(present), this one knows \(version))")
        }
        if present < 1 { try connection.execute(first) }
        if present < 2 { try connection.execute(second) }
        if present < version { try connection.execute("DELETE FROM schema_version; INSERT INTO schema_version VALUES (\(version))") }
        try connection.execute("COMMIT")
    }

    /// Texts that are compared are ordered by their bytes, whatever the database's language. Rows that change often have room to change in place,
    /// and are cleaned up early. `slot` spreads an endpoint's counters over several rows, so that replicas do not wait for one another.
    private static let first = """
        CREATE TABLE jobs (
            seq bigint GENERATED ALWAYS AS IDENTITY, id text COLLATE "C" PRIMARY KEY, endpoint text COLLATE "C" NOT NULL, origin text NOT NULL,
            execution_timeout bigint NOT NULL, time_to_live bigint NOT NULL, low_priority boolean NOT NULL, retention bigint NOT NULL,
            webhook text, prefix bytea NOT NULL, submitted_at bigint NOT NULL,
            state text COLLATE "C" NOT NULL, queued_at bigint NOT NULL, taken_at bigint, finished_at bigint, expires_at bigint NOT NULL,
            worker text, attempt bigint NOT NULL, retries bigint NOT NULL, loss_reason text,
            chunk_count bigint NOT NULL, drained_count bigint NOT NULL, posted_count bigint NOT NULL)
            WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
        CREATE INDEX jobs_by_queue ON jobs (endpoint, state, low_priority, queued_at, seq);
        CREATE INDEX jobs_by_expiry ON jobs (expires_at);
        CREATE TABLE payloads (job text COLLATE "C" PRIMARY KEY, input bytea NOT NULL, extras bytea);
        CREATE TABLE results (job text COLLATE "C" PRIMARY KEY, output bytea, error text);
        CREATE TABLE chunks (
            job text COLLATE "C" NOT NULL, place bigint NOT NULL, form text NOT NULL, body bytea NOT NULL, resume bytea, PRIMARY KEY (job, place));
        CREATE TABLE counters (
            endpoint text COLLATE "C" NOT NULL, counter bigint NOT NULL, slot bigint NOT NULL, value bigint NOT NULL,
            PRIMARY KEY (endpoint, counter, slot)) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
        CREATE TABLE log (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL, endpoint text COLLATE "C" NOT NULL, origin text NOT NULL,
            state text COLLATE "C" NOT NULL, submitted_at bigint NOT NULL, finished_at bigint NOT NULL, delay_time bigint NOT NULL,
            execution_time bigint NOT NULL, worker text, retries bigint NOT NULL, error text, search text COLLATE "C" NOT NULL);
        CREATE INDEX log_by_end ON log (finished_at, seq);
        CREATE TABLE webhooks (job text COLLATE "C" PRIMARY KEY, url text NOT NULL, tries bigint NOT NULL, due bigint NOT NULL);
        CREATE INDEX webhooks_by_due ON webhooks (due);
        CREATE TABLE workers (
            id text COLLATE "C" PRIMARY KEY, endpoint text NOT NULL, handle text, state text NOT NULL, reason text, secret_hash bytea,
            version text NOT NULL, started_at bigint NOT NULL, ready_at bigint, seen_at bigint, stopped_at bigint, jobs_done bigint NOT NULL)
            WITH (fillfactor = 50);
        CREATE TABLE definitions (id text COLLATE "C" PRIMARY KEY, json bytea NOT NULL);
        CREATE TABLE keys (
            name text COLLATE "C" PRIMARY KEY, role text NOT NULL, hash bytea NOT NULL, endpoints text, requests_per_10_seconds bigint,
            created_at bigint NOT NULL);
        CREATE TABLE leader (one boolean PRIMARY KEY CHECK (one), replica text NOT NULL, until bigint NOT NULL);
        """

    /// The last transaction that each writer has committed (`Writer`).
    private static let second = """
        CREATE TABLE commits (writer text COLLATE "C" PRIMARY KEY, number bigint NOT NULL, at timestamptz NOT NULL)
            WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
        """
}
