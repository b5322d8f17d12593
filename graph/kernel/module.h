/* What the two halves of the Python side share: module.c, which keeps the network, and questions.c, which searches it. */
#ifndef TL_MODULE_H
#define TL_MODULE_H

#include "python.h"

#include "search.h"

typedef struct {
    PyObject_HEAD
    network net;
    PyObject *indices; /* key -> index */
    PyObject *keys;    /* index -> key; it keeps alive what the users of the network point to */
} NetworkObject;

/* Converters for PyArg_ParseTuple: unlike the formats K and k they refuse what does not fit. */
int read_uint64(PyObject *value, void *result);
int read_uint32(PyObject *value, void *result);

/* Whether something can be taken as what its name says; false with an error raised. */
bool is_key(PyObject *key);
bool is_time(unsigned long long at);

/* The index of a user, who is added if wanted; false with an error raised. */
bool index_of(NetworkObject *self, PyObject *key, bool add, uint32_t *index);

/* Makes a tuple of as many new references, which it takes over; NULL among them is an error that was raised. */
PyObject *tuple_of(PyObject **items, Py_ssize_t count);

PyObject *cheapest_method(NetworkObject *self, PyObject *args, PyObject *kwargs);
PyObject *widest_method(NetworkObject *self, PyObject *args, PyObject *kwargs);
PyObject *largest_method(NetworkObject *self, PyObject *args, PyObject *kwargs);
PyObject *flow_method(NetworkObject *self, PyObject *args, PyObject *kwargs);

extern const char cheapest_doc[], widest_doc[], largest_doc[], flow_doc[];

#endif
