/* Gradient descent in C: one pass over the rows a step, gradients by hand, shared subexpressions
   computed once. Compiled once per model with -DMODEL=line -DPARAMS=2 and so on.

   A pass gets rows low to high of the columns (64-byte aligned), and leaves sums over them: the
   loss, then the gradient, without the factor 1/rows. */

#include <math.h>
#include <omp.h>
#include <stdalign.h>
#include <string.h>

#define MOST 16 /* parameters and the loss, padded to whole cache lines */
#define STRIP 256 /* rows whose intermediate results stay in the first-level cache */
#define COLUMN(k) ((const double *restrict)__builtin_assume_aligned(columns[k], 64))

#define PASS static inline __attribute__((always_inline)) void

typedef const double *const *Columns;

PASS line(Columns columns, long low, long high, const double *p, double *sums) {
    const double *restrict x = COLUMN(0), *restrict y = COLUMN(1);
    const double m = p[0], b = p[1];
    double loss = 0, gm = 0, gb = 0;
    for (long i = low; i < high; i++) {
        double r = m * x[i] + b - y[i];
        loss += r * r, gm += r * x[i], gb += r;
    }
    sums[0] = loss, sums[1] = 2 * gm, sums[2] = 2 * gb;
}

PASS cubic(Columns columns, long low, long high, const double *p, double *sums) {
    const double *restrict x = COLUMN(0), *restrict y = COLUMN(1);
    const double a = p[0], b = p[1], c = p[2], d = p[3];
    double loss = 0, ga = 0, gb = 0, gc = 0, gd = 0;
    for (long i = low; i < high; i++) {
        double t = x[i], r = ((a * t + b) * t + c) * t + d - y[i];
        double r1 = r * t, r2 = r1 * t;
        loss += r * r, ga += r2 * t, gb += r2, gc += r1, gd += r;
    }
    sums[0] = loss, sums[1] = 2 * ga, sums[2] = 2 * gb, sums[3] = 2 * gc, sums[4] = 2 * gd;
}

/* Binary cross-entropy from logits z: max(z, 0) - y z + log(1 + exp(-|z|)). */
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9)
#define BEGIN(k)                             \
    const double *restrict x##k = COLUMN(k); \
    const double w##k = p[k];                \
    double g##k = 0;
#define TERM(k) + w##k * x##k[i]
#define GRADIENT(k) g##k += r * x##k[i];
#define LEAVE(k) sums[1 + k] = g##k;

PASS logistic(Columns columns, long low, long high, const double *p, double *sums) {
    const double *restrict y = COLUMN(10);
    const double b = p[10];
    double loss = 0, gb = 0;
    EACH(BEGIN)
    alignas(64) double residual[STRIP];
    for (long from = low; from < high; from += STRIP) {
        const long to = from + STRIP < high ? from + STRIP : high;
        for (long i = from; i < to; i++) {
            double z = b EACH(TERM), e = exp(-fabs(z));
            double r = (z >= 0 ? 1 : e) / (1 + e) - y[i];
            loss += fmax(z, 0) - y[i] * z + log1p(e);
            gb += residual[i - from] = r;
        }
        for (long i = from; i < to; i++) {
            double r = residual[i - from];
            EACH(GRADIENT)
        }
    }
    sums[0] = loss, sums[11] = gb;
    EACH(LEAVE)
}

/* b1 exp(-b2 x) + b3 exp(-((x - b4) / b5)^2) + b6 exp(-((x - b7) / b8)^2) */
PASS gaussians(Columns columns, long low, long high, const double *p, double *sums) {
    const double *restrict x = COLUMN(0), *restrict y = COLUMN(1);
    const double b1 = p[0], b2 = p[1], b3 = p[2], b4 = p[3];
    const double b5 = p[4], b6 = p[5], b7 = p[6], b8 = p[7];
    const double v5 = 1 / b5, v8 = 1 / b8;
    double loss = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0, g8 = 0;
    alignas(64) double decays[STRIP], firsts[STRIP], seconds[STRIP];
    for (long from = low; from < high; from += STRIP) {
        const long to = from + STRIP < high ? from + STRIP : high;
        for (long i = from; i < to; i++) {
            double t = (x[i] - b4) * v5, u = (x[i] - b7) * v8;
            decays[i - from] = exp(-b2 * x[i]);
            firsts[i - from] = exp(-t * t);
            seconds[i - from] = exp(-u * u);
        }
        for (long i = from; i < to; i++) {
            double t = (x[i] - b4) * v5, u = (x[i] - b7) * v8;
            double decay = decays[i - from], first = firsts[i - from], second = seconds[i - from];
            double r = b1 * decay + b3 * first + b6 * second - y[i];
            double rd = r * decay, rf = r * first, rs = r * second;
            loss += r * r;
            g1 += rd, g2 += rd * x[i];
            g3 += rf, g4 += rf * t, g5 += rf * t * t;
            g6 += rs, g7 += rs * u, g8 += rs * u * u;
        }
    }
    const double f = 4 * b3 * v5, s = 4 * b6 * v8;
    sums[0] = loss, sums[1] = 2 * g1, sums[2] = -2 * b1 * g2;
    sums[3] = 2 * g3, sums[4] = f * g4, sums[5] = f * g5;
    sums[6] = 2 * g6, sums[7] = s * g7, sums[8] = s * g8;
}

/* Every thread keeps its own parameters and takes the same step; one barrier a step. */
static void together(Columns columns, long rows, double *params, double rate, long steps,
                     double *losses, int threads) {
    alignas(64) double all[2][threads][MOST];
#pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num();
        const long share = (rows / threads + 7) / 8 * 8;
        const long low = me * share < rows ? me * share : rows;
        const long high = me + 1 < threads && low + share < rows ? low + share : rows;
        double p[PARAMS];
        memcpy(p, params, sizeof p);
        for (long step = 0; step < steps; step++) {
            double(*parts)[MOST] = all[step % 2];
            MODEL(columns, low, high, p, parts[me]);
#pragma omp barrier
            double sums[PARAMS + 1] = {0};
            for (int t = 0; t < threads; t++)
                for (int k = 0; k <= PARAMS; k++) sums[k] += parts[t][k];
            for (int k = 0; k < PARAMS; k++) p[k] -= rate / rows * sums[1 + k];
            if (me == 0) losses[step] = sums[0] / rows;
        }
        if (me == 0) memcpy(params, p, sizeof p);
    }
}

void descend(Columns columns, long rows, double *params, double rate, long steps, double *losses,
             int threads) {
    if (threads > 1) {
        together(columns, rows, params, rate, steps, losses, threads);
        return;
    }
    double p[PARAMS], sums[PARAMS + 1];
    memcpy(p, params, sizeof p);
    for (long step = 0; step < steps; step++) {
        MODEL(columns, 0, rows, p, sums);
        for (int k = 0; k < PARAMS; k++) p[k] -= rate / rows * sums[1 + k];
        losses[step] = sums[0] / rows;
    }
    memcpy(params, p, sizeof p);
}
