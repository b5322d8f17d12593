/* The walks of a search that keeps more than one for a user: each with the one it goes on from, and those that wait. */
#ifndef TL_WALKS_H
#define TL_WALKS_H

#include "search.h"

typedef struct {
    walk state;
    uint64_t fees;
    uint64_t at_least; /* the fees at the target, as far as the bounds tell */
    uint32_t user;
    uint32_t before; /* the walk it goes on from, NOBODY for the one begun */
    uint32_t next;   /* the walk taken up before it at the same user */
} step;

/* A walk that waits, with what decides its place most of the time. */
typedef struct {
    uint64_t at_least;
    uint32_t hops;
    uint32_t user;
    uint32_t index;
} waiting;

typedef struct {
    const network *net;
    bool is_forwards; /* whether they begin at the sender */
    step *steps;
    uint32_t step_count, step_room;
    waiting *queue;
    uint32_t queue_count, queue_room;
} walks;

/* Both return false, having changed nothing, when there is no memory. */
bool add_step(walks *w, step new_step, uint32_t *index);
bool enqueue(walks *w, uint32_t index);

/* Takes the first of those that wait, by the least total, hops, and among those to the same user by path. */
uint32_t dequeue(walks *w);

/* Compares the paths of two walks of as many hops, from the sender's end. */
int compare_paths(const walks *w, uint32_t one, uint32_t other);

void walks_free(walks *w);

#endif
