/* Choice of channels for one instruction set; see cr_channel_gather in blocked.h.
 *
 * An output block draws its lanes from a few planes of the sources. These are taken in pairs: a pair is one
 * two-vector permutation for each pixel, and the lanes that another pair provides are kept. Before including:
 * permute_pair(a, b, index), lane l of which is lane index[l] of a (below L) or of b (L lanes on). */
#include <string.h>

#include "runtime/kernels/blocked/blocked.h"
#include "runtime/kernels/vec_tmpl.h"

/* Two source planes, from where each lane comes, and which lanes come from them at all (-1, others 0). */
typedef struct plane_pair {
    const float *a, *b;
    int32_t index[CR_LANES];
    float mine[CR_LANES];
} plane_pair;

typedef struct block_recipe {
    int planes;
    const float *plane[CR_LANES]; /* distinct ones, in order of use */
    plane_pair pair[CR_LANES / 2];
    bool copies; /* one plane, lane for lane */
} block_recipe;

static int find_plane(block_recipe *recipe, const float *plane) {
    int i = 0;
    while (i < recipe->planes && recipe->plane[i] != plane)
        i++;
    if (i == recipe->planes)
        recipe->plane[recipe->planes++] = plane;
    return i;
}

static const float *source_plane(const cr_channel_gather *gather, cr_channel_ref ref, int64_t image) {
    const cr_channel_source *source = &gather->sources[ref.source];
    const int64_t blocks = (source->channels + CR_LANES - 1) / CR_LANES;
    return source->data + (image * blocks + ref.channel / CR_LANES) * gather->shape.pixels * CR_LANES;
}

static void cook(const cr_channel_gather *gather, int64_t image, int64_t channel, block_recipe *recipe) {
    memset(recipe, 0, sizeof *recipe);
    recipe->copies = true;
    for (int l = 0; l < CR_LANES && channel + l < gather->shape.channels; l++) {
        const cr_channel_ref ref = gather->map[channel + l];
        const int found = find_plane(recipe, source_plane(gather, ref, image));
        const int lane = (int)(ref.channel % CR_LANES);
        plane_pair *pair = &recipe->pair[found / 2];
        *(found % 2 == 0 ? &pair->a : &pair->b) = recipe->plane[found];
        pair->index[l] = found % 2 * CR_LANES + lane;
        pair->mine[l] = -1;
        recipe->copies = recipe->copies && found == 0 && lane == l;
    }
    recipe->copies = recipe->copies && channel + CR_LANES <= gather->shape.channels;
    for (int p = 0; p < recipe->planes; p += 2)
        if (recipe->pair[p / 2].b == NULL)
            recipe->pair[p / 2].b = recipe->pair[p / 2].a;
}

/* n pixels from offset (floats); first: lanes of other pairs become 0, else they stay. */
CR_INLINE void gather_pair(const plane_pair *pair, int64_t offset, int64_t n, bool first, float *out) {
    cr_ivec index;
    memcpy(&index, pair->index, sizeof index);
    const cr_mask mine = cr_less(cr_load(pair->mine), (cr_vec){0});
    const float *a = pair->a + offset, *b = pair->b + offset;
    for (int64_t i = 0; i < n * CR_LANES; i += CR_LANES) {
        const cr_vec lanes = permute_pair(cr_load(a + i), cr_load(b + i), index);
        cr_store(out + i, cr_select(mine, lanes, first ? (cr_vec){0} : cr_load(out + i)));
    }
}

/* Pixels that all pairs of a block pass over while the output is in the nearest cache. */
enum { GATHER_PIXELS = 128 };

static void gather_block(const block_recipe *recipe, int64_t pixel, int64_t n, float *out) {
    if (recipe->copies) {
        memcpy(out, recipe->plane[0] + pixel * CR_LANES, (size_t)(n * CR_LANES) * sizeof(float));
        return;
    }
    for (int64_t p = 0; p < n; p += GATHER_PIXELS) {
        const int64_t some = n - p < GATHER_PIXELS ? n - p : GATHER_PIXELS, offset = (pixel + p) * CR_LANES;
        gather_pair(&recipe->pair[0], offset, some, true, out + p * CR_LANES);
        for (int i = 2; i < recipe->planes; i += 2)
            gather_pair(&recipe->pair[i / 2], offset, some, false, out + p * CR_LANES);
    }
}

static void gather_channels(const cr_channel_gather *gather, float *out, int64_t begin, int64_t end) {
    const int64_t blocks = cr_blocked_blocks(&gather->shape), pixels = gather->shape.pixels;
    while (begin < end) {
        const int64_t plane = begin / pixels, pixel = begin % pixels;
        const int64_t n = pixels - pixel < end - begin ? pixels - pixel : end - begin;
        block_recipe recipe;
        cook(gather, plane / blocks, plane % blocks * CR_LANES, &recipe);
        gather_block(&recipe, pixel, n, out + begin * CR_LANES);
        begin += n;
    }
}
