#include "tests/passes/generated/network.h"

/* What must become of an affine that stands near a linear operator. */

const char *net_reasons(network *n, const meeting *m, bool negative, bool shifts) {
    const route *r = m->route;
    const linear *l = m->linear;
    bool seam = !m->back && l->has_border && shifts, /* a session absorbs what stands right before a Conv */
        absorbed = seam && !r->first && strcmp(l->code, "conv") == 0,
         border = (r->no_shift && shifts) || r->no_scale || (seam && !absorbed);
    return net_format(n, "%s%s%s%s%s", m->fits ? "" : "axis-mismatch|",
                      r->needs_positive && negative ? "negative-scale|" : "", border ? "border-values|" : "",
                      absorbed ? "padded-border|" : "", shifts && !l->biased ? "no-bias|" : "");
}

static const char *pattern_of(network *n, const meeting *m, const char *leaf, const char *code) {
    const char *through = m->back ? m->route->last : m->route->first;
    return net_format(n, "%s%s%s-%s", m->back ? leaf : code, through ? "-" : "", through ? through : "",
                      m->back ? code : leaf);
}

bool net_is_exotic(const meeting *m, const affine *a) {
    const route *r = m->route;
    return a->axis >= 0 && (r->exotic || (m->back ? net_dim(r->at, a->axis) : r->n) == 1);
}

void net_expect_meeting(network *n, const meeting *m, const affine *a, const char *reasons) {
    const linear *l = m->linear;
    bool is_bn = strcmp(a->code, "bn") == 0;
    const char *pattern = pattern_of(n, m, !m->back && l->ahead ? l->ahead : l->code, a->code);
    if (reasons[0])
        net_expect(n, a->name, "%s%s", is_bn ? reasons : "-",
                   is_bn && net_is_exotic(m, a) ? "axis-mismatch" : "");
    else if (net_is_exotic(m, a))
        net_expect(n, a->name, "*");
    else if (m->back && l->other)
        net_expect(n, a->name, "%s|%s", pattern, pattern_of(n, m, l->other, a->code));
    else
        net_expect(n, a->name, "%s", pattern);
}
