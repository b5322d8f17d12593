#include "scratch.h"

#include <string.h>

static void release(scratch *work) {
    if (work == NULL) return;
    free(work->exact);
    free(work->bound);
    free(work->first);
    free(work->is_avoided);
    free(work->touched);
    free(work->state);
    free(work->exact_heap.entries);
    free(work->bound_heap.entries);
    free(work->doubts.entries);
    free(work);
}

static scratch *make(uint32_t room) {
    scratch *work = calloc(1, sizeof *work);
    if (work == NULL) return NULL;
    work->room = room;
    work->exact = calloc(room, sizeof *work->exact);
    work->bound = calloc(room, sizeof *work->bound);
    work->first = malloc(room * sizeof *work->first);
    work->is_avoided = calloc(room, sizeof *work->is_avoided);
    work->touched = malloc(room * sizeof *work->touched);
    work->state = calloc(room, sizeof *work->state);
    if (!work->exact || !work->bound || !work->first || !work->is_avoided || !work->touched || !work->state) {
        release(work);
        return NULL;
    }
    memset(work->first, 0xff, room * sizeof *work->first);
    return work;
}

scratch *scratch_take(network *net) {
    pthread_mutex_lock(&net->idle_lock);
    scratch *work = net->idle;
    if (work != NULL) net->idle = work->next;
    pthread_mutex_unlock(&net->idle_lock);
    if (work != NULL && work->room < net->user_count) {
        release(work);
        work = NULL;
    }
    /* Some space for users to come, so that not each of them makes the memory anew. */
    return work != NULL ? work : make(net->user_count + net->user_count / 8 + 64);
}

void scratch_give_back(network *net, scratch *work) {
    for (uint32_t i = 0; i < work->touched_count; i++) {
        uint32_t u = work->touched[i];
        work->exact[u] = (label){0};
        work->bound[u] = (label){0};
        work->first[u] = NOBODY;
        work->is_avoided[u] = false;
        work->state[u] = 0;
    }
    work->touched_count = 0;
    work->exact_heap.count = work->bound_heap.count = work->doubts.count = 0;
    pthread_mutex_lock(&net->idle_lock);
    work->next = net->idle;
    net->idle = work;
    pthread_mutex_unlock(&net->idle_lock);
}

void scratch_free_all(network *net) {
    while (net->idle != NULL) {
        scratch *work = net->idle;
        net->idle = work->next;
        release(work);
    }
}
