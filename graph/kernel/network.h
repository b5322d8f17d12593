/* The trustlines of one currency network in flat arrays, kept in step by single changes. */
#ifndef TL_NETWORK_H
#define TL_NETWORK_H

#include <pthread.h>
#include <stddef.h>

#include "money.h"

#define NOBODY UINT32_MAX
#define MOST_USERS 0x7fffffffU

/* A trustline as one of its two users sees it: each has one in an array of its own, so that a search which looks at
 * all trustlines of a user reads memory in a row. The balance is kept as magnitude and sign: it needs 65 bits. */
typedef struct {
    uint64_t size;
    uint64_t given;
    uint64_t received;
    uint32_t other; /* the other user, and where among its ends this trustline is */
    uint32_t twin;
    uint32_t mtime;
    int16_t rate_given;
    int16_t rate_received;
    bool is_negative;
    bool is_frozen;
    bool leads_nowhere; /* the other user has no other trustline, so it never mediates */
} end;

/* What an end is worth looking at for, in a byte, so that a search passes over most ends of a user with very many by
 * reading some bytes in a row: OWED if the payer is owed something on the trustline, and a grade of what can be paid. It
 * is 0 where nothing ever can be, because the trustline is frozen or leads nowhere, and the highest where interest moves
 * the balance. A smaller amount never has a higher grade. */
typedef uint8_t hint;

#define OWED 0x80
#define HIGHEST_GRADE 0x7f

/* A user: its key, by which ties are decided, and its ends of trustlines. In the same memory, before the ends and in
 * their order, lies what is read of most of them: hints for what the user is paid, for what it pays, the other users. */
typedef struct {
    const unsigned char *key;
    size_t key_length;
    end *ends;
    uint32_t degree;
    uint32_t room;
} user;

/* Hints are read eight at once, and those of no end are 0. */
static inline size_t hint_room(uint32_t room) { return ((size_t)room + 7) / 8 * 8; }

static inline uint32_t *others_of(const user *u) { return (uint32_t *)u->ends - (u->room + u->room % 2); }

static inline hint *hints_of(const user *u, bool is_payer) {
    return (hint *)others_of(u) - hint_room(u->room) * (is_payer ? 1 : 2);
}

/* By half binary orders of magnitude, up to 2^63. */
static inline hint grade(uint64_t amount) {
    if (amount < 2) return amount ? 2 : 1;
    int last = 63 - __builtin_clzll(amount);
    int g = 2 + 2 * last + (int)(amount >> (last - 1) & 1);
    return (hint)(g < HIGHEST_GRADE ? g : HIGHEST_GRADE);
}

typedef struct {
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

/* Both return false, having changed nothing, when there is no memory. */
bool network_add_user(network *net, const unsigned char *key, size_t key_length, uint32_t *index);

/* Takes over a trustline as `owner` sees it. */
bool network_put(network *net, uint32_t owner, const end *state);

void network_drop(network *net, uint32_t one, uint32_t other);

/* The end of the trustline of one user with another, seen by the first; NULL if there is none. */
const end *end_between(const network *net, uint32_t owner, uint32_t other);

/* Negative, zero or positive as the key of one user comes before, with or after that of another. */
int compare_users(const network *net, uint32_t one, uint32_t other);

/* The hop over a trustline, paid by the user whose end it is (is_payer) or to that user. */
static inline hop hop_over(const end *e, bool is_payer, uint64_t at) {
    wide balance = e->is_negative ? -(wide)e->size : (wide)e->size;
    if (at > e->mtime && (e->rate_given || e->rate_received))
        balance = balance_with_interest(balance, e->rate_given, e->rate_received, at - e->mtime);
    hop h = {.is_frozen = e->is_frozen};
    h.balance = is_payer ? balance : -balance;
    h.capacity = h.balance + (wide)(is_payer ? e->received : e->given);
    h.rate_given = is_payer ? e->rate_given : e->rate_received;
    h.rate_received = is_payer ? e->rate_received : e->rate_given;
    return h;
}

/* The same where nothing but fees and capacities counts: what the payer is owed, what it can pay at the most. */
typedef struct {
    uint64_t owed;
    uint64_t most;
} passage;

/* False where nothing passes. */
static inline bool passage_over(const end *e, bool is_payer, uint64_t at, passage *p) {
    uint64_t size = e->size, limit = is_payer ? e->received : e->given;
    if (e->is_frozen) return false;
    if (at > e->mtime && (e->rate_given || e->rate_received)) {
        wide balance = e->is_negative ? -(wide)size : (wide)size;
        balance = balance_with_interest(balance, e->rate_given, e->rate_received, at - e->mtime);
        size = (uint64_t)(balance < 0 ? -balance : balance);
    }
    if (e->is_negative == is_payer && size) {
        *p = (passage){.most = limit - size};
        return limit >= size;
    }
    *p = (passage){.owed = size, .most = limit > MAX_AMOUNT - size ? MAX_AMOUNT : limit + size};
    return true;
}

static inline bool can_pay(const hop *h, uint64_t amount) {
    return !h->is_frozen && (wide)amount <= h->capacity;
}

#endif
