#ifndef CREASE_RUNTIME_API_NOISE_H
#define CREASE_RUNTIME_API_NOISE_H

#include "runtime/graph/graph.h"

/* How far rounding may move each value of a network: an a-priori bound, from the weights and inputs alone.
 *
 * The network is computed in float64 as it is and, beside that, with noise: every element that a node
 * produces is moved up or down, at random, by the rounding error that the node has by itself. For a sum of K
 * products, in any order, that is
 *
 *     u sqrt(K) sqrt(sum (w x)^2 + y^2),      u = 2^-24 for float32,
 *
 * (partial sums of mixed signs stay near sqrt(sum (w x)^2), those of one sign near |y|; independent roundings
 * of K of them add up as sqrt(K); Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis,
 * 2019). sum (w x)^2 is the node itself on squared weights and inputs. The bound of a value is 4 times the
 * largest movement that three such runs show anywhere in its tensor. It holds with overwhelming probability,
 * not certainly: the certain bound, (K + 1) u sum |w x| in every layer, grows by a factor in each layer
 * and says nothing about a deep network.
 *
 * Folding has a bound of its own, far smaller, for two float64 runs that differ only in their weights: here
 * the error of a node is u sqrt(sum (w x)^2 + y^2), that of rounding each weight once, with one sign for all
 * elements of a channel, since they share their weights. */

typedef struct cr_noise {
    cr_heap *heap;
    int threads;
    bool exact; /* crease_options.exact: without it what Winograd is for counts as Winograd's */
} cr_noise;

/* wide: a resolved float64 model; narrow: the model whose rounding is meant, with the same value ids. inputs
 * [wide->graph->n_inputs]: contents in file order, NULL for those that keep their default. kernels and
 * folding [wide->n_values], by value id: bounds relative to the largest magnitude of the tensor; 0: none.
 * Fails with UNSUPPORTED where a node has a body. */
crease_status cr_noise_bounds(const cr_noise *noise, const cr_model *wide, const cr_model *narrow,
                              const cr_tensor *const *inputs, double *kernels,
                              double *folding) CREASE_MUST_TEST;

#endif
