// A door to libpq that is opened at run time: building needs no header of PostgreSQL, and a program that never uses it needs no library.
// Each function is libpq's of the same name (PQexec is needletail_pq_exec); see https://www.postgresql.org/docs/current/libpq.html.
// Call needletail_pq_open first; the others must not be called unless it returned 1.
#ifndef NEEDLETAIL_CPOSTGRES_H
#define NEEDLETAIL_CPOSTGRES_H

#include <stddef.h>

typedef struct needletail_pq_connection needletail_pq_connection;  // PGconn
typedef struct needletail_pq_result needletail_pq_result;          // PGresult

// Loads the library once, from any thread. 1: it is there. 0: `error` says what to do.
int needletail_pq_open(char *error, size_t size);

// 1: libpq can read the URL or connection string.
int needletail_pq_understands(const char *conninfo);
// keywords, values: ended by NULL. The value of dbname may be a URL or connection string.
needletail_pq_connection *needletail_pq_connect(const char *const *keywords, const char *const *values);
void needletail_pq_finish(needletail_pq_connection *connection);
int needletail_pq_is_ok(const needletail_pq_connection *connection);
const char *needletail_pq_error(const needletail_pq_connection *connection);
int needletail_pq_socket(const needletail_pq_connection *connection);

// Simple query: several statements, no parameters.
needletail_pq_result *needletail_pq_exec(needletail_pq_connection *connection, const char *sql);
needletail_pq_result *needletail_pq_prepare(needletail_pq_connection *connection, const char *name, const char *sql);
// Parameters and results in binary. A NULL value is SQL's NULL.
needletail_pq_result *needletail_pq_exec_prepared(
    needletail_pq_connection *connection, const char *name, int count, const char *const *values, const int *lengths, const int *formats);

// 1: the command succeeded, with or without rows.
int needletail_pq_succeeded(const needletail_pq_result *result);
// The five letters of SQLSTATE, or NULL where the failure is not the server's.
const char *needletail_pq_sqlstate(const needletail_pq_result *result);
// The server's own message, without prefix, detail or context.
const char *needletail_pq_message(const needletail_pq_result *result);
const char *needletail_pq_affected(needletail_pq_result *result);
int needletail_pq_rows(const needletail_pq_result *result);
int needletail_pq_is_null(const needletail_pq_result *result, int row, int column);
int needletail_pq_length(const needletail_pq_result *result, int row, int column);
const char *needletail_pq_value(const needletail_pq_result *result, int row, int column);
void needletail_pq_clear(needletail_pq_result *result);

// Reads what came in. 0: the connection is lost.
int needletail_pq_consume(needletail_pq_connection *connection);
// The next notification's payload, to be freed with needletail_pq_free; NULL: none is left.
char *needletail_pq_next_notification(needletail_pq_connection *connection);
void needletail_pq_free(char *payload);

#endif
