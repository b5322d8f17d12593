/* Searches over a network. Whoever calls them holds the network's lock for reading. */
#ifndef TL_SEARCH_H
#define TL_SEARCH_H

#include "network.h"

typedef enum { FOUND, NOT_FOUND, SPENT, NO_MEMORY, AMBIGUOUS } outcome;

/* What is asked. Limits that do not limit are UINT64_MAX and UINT32_MAX. */
typedef struct {
    uint32_t sender, receiver;
    uint64_t value;
    uint64_t at;
    uint64_t max_fees;
    uint32_t max_hops;
    const uint32_t *avoid; /* users that mediate nothing */
    uint32_t avoid_count;
    uint64_t budget;       /* how many trustlines may be looked at */
    double deadline;       /* CLOCK_MONOTONIC seconds, 0 for none */
} question;

/* What is answered. The path runs from the sender to the receiver and is to be freed. */
typedef struct {
    uint32_t *path;
    uint32_t path_length;
    uint64_t fees;
    uint64_t work;
} answer;

/* The cheapest transfer of which the sender bears the fees, mediators' interests not looked at. */
outcome cheapest_sender_pays(const network *net, const question *asked, answer *out);

/* The largest value that the sender can pay, bearing the fees, mediators' interests not looked at; 0 if none. */
outcome widest(const network *net, const question *asked, uint64_t *value, uint64_t *work);

#endif
