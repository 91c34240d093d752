internal import GRDB

/// Tables. Jobs have a small row number that their payload, result and chunks hang on; ids are looked up once.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in try db.execute(sql: first) }
        return migrator
    }

    private static let first = """
        CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, endpoint TEXT NOT NULL, origin TEXT NOT NULL,
            executionTimeout INTEGER NOT NULL, timeToLive INTEGER NOT NULL, lowPriority INTEGER NOT NULL, retention INTEGER NOT NULL,
            webhook TEXT, prefix BLOB NOT NULL, submittedAt INTEGER NOT NULL,
            state TEXT NOT NULL, queuedAt INTEGER NOT NULL, takenAt INTEGER, finishedAt INTEGER, expiresAt INTEGER NOT NULL,
            worker TEXT, attempt INTEGER NOT NULL, retries INTEGER NOT NULL, lossReason TEXT,
            chunkCount INTEGER NOT NULL, drainedCount INTEGER NOT NULL, postedCount INTEGER NOT NULL) STRICT;
        CREATE INDEX jobsByQueue ON jobs (endpoint, state, lowPriority, queuedAt);
        CREATE INDEX jobsByExpiry ON jobs (expiresAt);
        CREATE TABLE payloads (job INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, input BLOB NOT NULL, extras BLOB) STRICT;
        CREATE TABLE results (job INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, output BLOB, error TEXT) STRICT;
        CREATE TABLE chunks (
            job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, place INTEGER NOT NULL, form TEXT NOT NULL, body BLOB NOT NULL, resume BLOB,
            PRIMARY KEY (job, place)) STRICT, WITHOUT ROWID;
        CREATE TABLE counters (
            endpoint TEXT NOT NULL, counter INTEGER NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (endpoint, counter)) STRICT, WITHOUT ROWID;
        -- search: id, worker and error in lower case, a line each.
        CREATE TABLE log (
            seq INTEGER PRIMARY KEY, id TEXT NOT NULL, endpoint TEXT NOT NULL, origin TEXT NOT NULL, state TEXT NOT NULL,
            submittedAt INTEGER NOT NULL, finishedAt INTEGER NOT NULL, delayTime INTEGER NOT NULL, executionTime INTEGER NOT NULL,
            worker TEXT, retries INTEGER NOT NULL, error TEXT, search TEXT NOT NULL) STRICT;
        CREATE INDEX logByEnd ON log (finishedAt);
        CREATE TABLE webhooks (job TEXT PRIMARY KEY, url TEXT NOT NULL, tries INTEGER NOT NULL, due INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX webhooksByDue ON webhooks (due);
        CREATE TABLE workers (
            id TEXT PRIMARY KEY, endpoint TEXT NOT NULL, handle TEXT, state TEXT NOT NULL, reason TEXT, secretHash BLOB, version TEXT NOT NULL,
            startedAt INTEGER NOT NULL, readyAt INTEGER, seenAt INTEGER, stoppedAt INTEGER, jobsDone INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE definitions (id TEXT PRIMARY KEY, json BLOB NOT NULL) STRICT;
        -- endpoints: names with a space between; NULL is all.
        CREATE TABLE keys (
            name TEXT PRIMARY KEY, role TEXT NOT NULL, hash BLOB NOT NULL, endpoints TEXT, requestsPer10Seconds INTEGER,
            createdAt INTEGER NOT NULL) STRICT;
        CREATE TABLE leader (one INTEGER PRIMARY KEY CHECK (one = 1), replica TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
        """
}
