#include "walks.h"

#include <stdlib.h>

int compare_paths(const walks *w, uint32_t one, uint32_t other) {
    int order = 0;
    while (one != other) {
        const step *a = &w->steps[one], *b = &w->steps[other];
        if (a->user != b->user) {
            order = compare_users(w->net, a->user, b->user);
            /* Backwards a walk's last user is its path's first. */
            if (!w->is_forwards) return order;
        }
        if (a->before == NOBODY || b->before == NOBODY) break;
        one = a->before;
        other = b->before;
    }
    return order;
}

static bool is_earlier(const walks *w, const waiting *a, const waiting *b) {
    if (a->at_least != b->at_least) return a->at_least < b->at_least;
    if (a->hops != b->hops) return a->hops < b->hops;
    /* Which of two users comes first then does not matter: what follows has more hops. */
    if (a->user != b->user) return a->user < b->user;
    return compare_paths(w, a->index, b->index) < 0;
}

bool enqueue(walks *w, uint32_t index) {
    if (w->queue_count == w->queue_room) {
        uint32_t room = w->queue_room ? w->queue_room * 2 : 256;
        waiting *larger = realloc(w->queue, room * sizeof *larger);
        if (larger == NULL) return false;
        w->queue = larger;
        w->queue_room = room;
    }
    const step *new = &w->steps[index];
    waiting new_one = {new->at_least, new->state.hops, new->user, index};
    uint32_t at = w->queue_count++;
    while (at) {
        uint32_t parent = (at - 1) / 2;
        if (!is_earlier(w, &new_one, &w->queue[parent])) break;
        w->queue[at] = w->queue[parent];
        at = parent;
    }
    w->queue[at] = new_one;
    return true;
}

uint32_t dequeue(walks *w) {
    waiting *queue = w->queue;
    waiting last = queue[--w->queue_count];
    uint32_t top = queue[0].index, at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= w->queue_count) break;
        if (child + 1 < w->queue_count && is_earlier(w, &queue[child + 1], &queue[child])) child++;
        if (!is_earlier(w, &queue[child], &last)) break;
        queue[at] = queue[child];
        at = child;
    }
    queue[at] = last;
    return top;
}

bool add_step(walks *w, step new_step, uint32_t *index) {
    if (w->step_count == w->step_room) {
        uint64_t room = w->step_room ? (uint64_t)w->step_room * 2 : 1024;
        if (room >= NOBODY) return false;
        step *larger = realloc(w->steps, room * sizeof *larger);
        if (larger == NULL) return false;
        w->steps = larger;
        w->step_room = (uint32_t)room;
    }
    *index = w->step_count++;
    w->steps[*index] = new_step;
    return true;
}

void walks_free(walks *w) {
    free(w->steps);
    free(w->queue);
}
