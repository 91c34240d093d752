#include "CPostgres.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef needletail_pq_connection Connection;
typedef needletail_pq_result Result;

// PGnotify as libpq 9.0 and later have it.
typedef struct Notification {
    char *channel;
    int pid;
    char *payload;
    struct Notification *next;
} Notification;

static struct {
    void *(*conninfo_parse)(const char *, char **);
    void (*conninfo_free)(void *);
    Connection *(*connect)(const char *const *, const char *const *, int);
    void (*finish)(Connection *);
    int (*status)(const Connection *);
    char *(*error)(const Connection *);
    int (*socket)(const Connection *);
    Result *(*exec)(Connection *, const char *);
    Result *(*prepare)(Connection *, const char *, const char *, int, const unsigned *);
    Result *(*exec_prepared)(Connection *, const char *, int, const char *const *, const int *, const int *, int);
    int (*result_status)(const Result *);
    char *(*error_field)(const Result *, int);
    char *(*affected)(Result *);
    int (*rows)(const Result *);
    int (*is_null)(const Result *, int, int);
    int (*length)(const Result *, int, int);
    char *(*value)(const Result *, int, int);
    void (*clear)(Result *);
    int (*consume)(Connection *);
    Notification *(*notifies)(Connection *);
    void (*freemem)(void *);
    void (*(*set_notice_processor)(Connection *, void (*)(void *, const char *), void *))(void *, const char *);
} pq;

static char failure[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Notices (a table that exists already and the like) would go to stderr.
static void ignore_notice(void *context, const char *message) {
    (void)context;
    (void)message;
}

static void load(void) {
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(failure, sizeof failure, "PostgreSQL needs libpq: apt-get install libpq5");
        return;
    }
    const struct {
        const char *name;
        void *place;
    } symbols[] = {
        {"PQconninfoParse", &pq.conninfo_parse},
        {"PQconninfoFree", &pq.conninfo_free},
        {"PQconnectdbParams", &pq.connect},
        {"PQfinish", &pq.finish},
        {"PQstatus", &pq.status},
        {"PQerrorMessage", &pq.error},
        {"PQsocket", &pq.socket},
        {"PQexec", &pq.exec},
        {"PQprepare", &pq.prepare},
        {"PQexecPrepared", &pq.exec_prepared},
        {"PQresultStatus", &pq.result_status},
        {"PQresultErrorField", &pq.error_field},
        {"PQcmdTuples", &pq.affected},
        {"PQntuples", &pq.rows},
        {"PQgetisnull", &pq.is_null},
        {"PQgetlength", &pq.length},
        {"PQgetvalue", &pq.value},
        {"PQclear", &pq.clear},
        {"PQconsumeInput", &pq.consume},
        {"PQnotifies", &pq.notifies},
        {"PQfreemem", &pq.freemem},
        {"PQsetNoticeProcessor", &pq.set_notice_processor},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (!symbol) {
            snprintf(failure, sizeof failure, "libpq.so.5 has no %s: it is too old; apt-get install libpq5", symbols[i].name);
            return;
        }
        // A function's address by way of memory: ISO C has no cast for it.
        memcpy(symbols[i].place, &symbol, sizeof symbol);
    }
}

int needletail_pq_open(char *error, size_t size) {
    pthread_once(&once, load);
    if (failure[0] && size) snprintf(error, size, "%s", failure);
    return !failure[0];
}

int needletail_pq_understands(const char *conninfo) {
    // The message may hold parts of the string, so of the password: nobody gets to see it.
    char *message = NULL;
    void *options = pq.conninfo_parse(conninfo, &message);
    if (message) pq.freemem(message);
    if (options) pq.conninfo_free(options);
    return options != NULL;
}

Connection *needletail_pq_connect(const char *const *keywords, const char *const *values) {
    Connection *connection = pq.connect(keywords, values, 1);
    if (connection) pq.set_notice_processor(connection, ignore_notice, NULL);
    return connection;
}

void needletail_pq_finish(Connection *connection) { pq.finish(connection); }
int needletail_pq_is_ok(const Connection *connection) { return connection && pq.status(connection) == 0; }  // CONNECTION_OK
const char *needletail_pq_error(const Connection *connection) { return pq.error(connection); }
int needletail_pq_socket(const Connection *connection) { return pq.socket(connection); }

Result *needletail_pq_exec(Connection *connection, const char *sql) { return pq.exec(connection, sql); }

Result *needletail_pq_prepare(Connection *connection, const char *name, const char *sql) {
    return pq.prepare(connection, name, sql, 0, NULL);
}

Result *needletail_pq_exec_prepared(
    Connection *connection, const char *name, int count, const char *const *values, const int *lengths, const int *formats) {
    return pq.exec_prepared(connection, name, count, values, lengths, formats, 1);
}

int needletail_pq_succeeded(const Result *result) {
    if (!result) return 0;
    int status = pq.result_status(result);
    return status == 1 || status == 2;  // PGRES_COMMAND_OK, PGRES_TUPLES_OK
}

const char *needletail_pq_sqlstate(const Result *result) { return result ? pq.error_field(result, 'C') : NULL; }
const char *needletail_pq_message(const Result *result) { return result ? pq.error_field(result, 'M') : NULL; }
const char *needletail_pq_affected(Result *result) { return pq.affected(result); }
int needletail_pq_rows(const Result *result) { return pq.rows(result); }
int needletail_pq_is_null(const Result *result, int row, int column) { return pq.is_null(result, row, column); }
int needletail_pq_length(const Result *result, int row, int column) { return pq.length(result, row, column); }
const char *needletail_pq_value(const Result *result, int row, int column) { return pq.value(result, row, column); }
void needletail_pq_clear(Result *result) { pq.clear(result); }

int needletail_pq_consume(Connection *connection) { return pq.consume(connection); }

char *needletail_pq_next_notification(Connection *connection) {
    Notification *notification = pq.notifies(connection);
    if (!notification) return NULL;
    char *payload = strdup(notification->payload ? notification->payload : "");
    pq.freemem(notification);
    return payload;
}

void needletail_pq_free(char *payload) { free(payload); }
