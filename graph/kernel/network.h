/* The trustlines of one currency network in flat arrays, kept in step by single changes. */
#ifndef TL_NETWORK_H
#define TL_NETWORK_H

#include <pthread.h>
#include <stddef.h>

#include "money.h"

#define NOBODY UINT32_MAX

/* A trustline as its lower user sees it. The balance is kept as magnitude and sign: it needs 65 bits. */
typedef struct {
    uint64_t size;
    uint64_t given;
    uint64_t received;
    uint32_t lower;
    uint32_t higher;
    uint32_t mtime;
    int16_t rate_given;
    int16_t rate_received;
    bool is_negative;
    bool is_frozen;
} line;

/* A user: its key, by which ties are decided, and its trustlines as line << 1 | (whether it is the higher user). */
typedef struct {
    const unsigned char *key;
    size_t key_length;
    uint32_t *ends;
    uint32_t degree;
    uint32_t room;
} user;

typedef struct {
    line *lines;
    uint32_t line_count, line_room;
    uint32_t free_line; /* the first of the unused lines, chained by `lower`; NOBODY if there is none */
    user *users;
    uint32_t user_count, user_room;
    uint32_t divisor;
    bool prevents_mediator_interests;
    pthread_rwlock_t lock; /* searches read, changes write */
    struct scratch *idle;  /* working memory that no search uses at the moment */
    pthread_mutex_t idle_lock;
} network;

/* One direction of a trustline at some time: what the payer is owed, and what it can pay at the most. */
typedef struct {
    wide balance;
    wide capacity;
    int rate_given, rate_received;
    bool is_frozen;
} hop;

bool network_init(network *net, uint32_t divisor, bool prevents_mediator_interests);
void network_free(network *net);

/* All return false, having changed nothing, when there is no memory. */
bool network_add_user(network *net, const unsigned char *key, size_t key_length, uint32_t *index);
bool network_put(network *net, const line *state);
void network_drop(network *net, uint32_t lower, uint32_t higher);

/* Negative, zero or positive as the key of one user comes before, with or after that of another. */
int compare_users(const network *net, uint32_t one, uint32_t other);

static inline uint32_t other_end(const network *net, uint32_t end) {
    const line *l = &net->lines[end >> 1];
    return end & 1 ? l->lower : l->higher;
}

/* The hop over a trustline's end, paid by the user whose end it is (is_payer) or to that user. */
static inline hop hop_over(const network *net, uint32_t end, bool is_payer, uint64_t at) {
    const line *l = &net->lines[end >> 1];
    wide balance = l->is_negative ? -(wide)l->size : (wide)l->size;
    if (at > l->mtime && (l->rate_given || l->rate_received))
        balance = balance_with_interest(balance, l->rate_given, l->rate_received, at - l->mtime);
    bool is_higher = end & 1;
    bool payer_is_higher = is_payer ? is_higher : !is_higher;
    hop h = {.is_frozen = l->is_frozen};
    h.balance = payer_is_higher ? -balance : balance;
    h.capacity = h.balance + (wide)(payer_is_higher ? l->given : l->received);
    h.rate_given = payer_is_higher ? l->rate_received : l->rate_given;
    h.rate_received = payer_is_higher ? l->rate_given : l->rate_received;
    return h;
}

static inline bool can_pay(const hop *h, uint64_t amount) {
    return !h->is_frozen && (wide)amount <= h->capacity;
}

#endif
