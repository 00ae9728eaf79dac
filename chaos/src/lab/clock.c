/* A wall clock of its own for one process: loaded before the system's library, it adds to every answer what a file says.
 *
 * libfaketime does this, too, and cannot be used here: it asks the dynamic linker for what this system does not have,
 * which allocates memory, while the allocator of kiki (jemalloc) is asking for the time in its own beginning. Both wait
 * for ever (github.com/wolfcw/libfaketime/issues/130). So nothing here allocates, and nothing is looked up.
 *
 * What time is measured with (the monotonic clock, by which timers and timeouts run) stays the machine's.
 */
typedef long long i64;
typedef struct { long s, ns; } moment;
typedef struct { long s, us; } moment_us;

extern long syscall(long number, ...);
extern char *getenv(const char *name);
extern int open(const char *path, int flags, ...);
extern int close(int file);
extern void *mmap(void *at, unsigned long length, int what, int flags, int file, long from);

#if defined(__x86_64__)
#define CLOCK_GETTIME 228
#elif defined(__aarch64__)
#define CLOCK_GETTIME 113
#else
#error "only x86_64 and aarch64 are known"
#endif
#define REALTIME 0
#define REALTIME_COARSE 5
#define SECOND 1000000000LL

/* What clock.rs writes. `turn` is odd while the rest is being written. */
struct said { i64 turn, since_ns, offset_ns, drift_ppm; };

static const volatile struct said *said;
static int looked;

static void look(void) {
    looked = 1;
    const char *path = getenv("CHAOS_LAB_CLOCK");
    int file = path ? open(path, 0 /* O_RDONLY */) : -1;
    if (file < 0) return;
    void *at = mmap(0, sizeof *said, 1 /* PROT_READ */, 1 /* MAP_SHARED */, file, 0);
    close(file);
    if (at != (void *)-1) said = at;
}

static i64 off(i64 now) {
    if (!looked) look();
    if (!said) return 0;
    i64 since = 0, offset = 0, drift = 0;
    /* Bounded: whoever writes may have died in between. */
    for (int n = 0; n < 10000; n++) {
        i64 turn = __atomic_load_n(&said->turn, __ATOMIC_ACQUIRE);
        since = said->since_ns, offset = said->offset_ns, drift = said->drift_ppm;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (!(turn & 1) && turn == __atomic_load_n(&said->turn, __ATOMIC_RELAXED)) break;
    }
    /* In microseconds, so that a drift of a half over years stays within 64 bits. */
    return offset + (now - since) / 1000 * drift / 1000;
}

int clock_gettime(int clock, moment *out) {
    long failed = syscall(CLOCK_GETTIME, (long)clock, out);
    if (failed || (clock != REALTIME && clock != REALTIME_COARSE)) return (int)failed;
    i64 now = out->s * SECOND + out->ns;
    now += off(now);
    out->s = now / SECOND;
    out->ns = now % SECOND;
    return 0;
}

int gettimeofday(moment_us *out, void *zone) {
    moment now;
    (void)zone;
    if (clock_gettime(REALTIME, &now)) return -1;
    if (out) out->s = now.s, out->us = now.ns / 1000;
    return 0;
}

long time(long *out) {
    moment now;
    if (clock_gettime(REALTIME, &now)) return -1;
    if (out) *out = now.s;
    return now.s;
}
