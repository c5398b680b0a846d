#include "cli/random.h"

#include <math.h>

uint64_t random_bits(random_state *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

random_state random_start(uint64_t seed, uint64_t stream) {
    random_state mix = {seed};
    uint64_t first = random_bits(&mix);
    mix.state = first ^ stream;
    return (random_state){random_bits(&mix)};
}

double random_uniform(random_state *r) {
    return ((double)(random_bits(r) >> 11) + 0.5) * 0x1p-53;
}

double random_normal(random_state *r) {
    const double pi = 3.14159265358979323846;
    double radius = sqrt(-2 * log(random_uniform(r)));
    return radius * cos(2 * pi * random_uniform(r));
}
