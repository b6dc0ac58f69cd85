// Counts the calls of a process that make, write, flush, rename or remove files below a folder. At a chosen one
// the process is killed, or the disk is full: once, or from then on. Loaded by LD_PRELOAD; see boundaries.py.

#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, KILL_HALF_WAY, FULL, FULL_ONCE };

static char folder[PATH_MAX];
static size_t folder_length;
static long chosen;
static int mode;
static atomic_long calls;
static __thread char current[PATH_MAX];  // the path of this thread's call
static char failed[PATH_MAX];            // the path of the first call that failed

void boundary_arm(const char *below, long at, int what) {
    calls = 0;
    chosen = at;
    mode = what;
    strncpy(folder, below, sizeof folder - 1);
    folder_length = strlen(folder);
}

long boundary_calls(void) { return calls; }

const char *boundary_failed(void) { return failed; }

static int is_below(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length) != 0) return 0;
    if (path[folder_length] != 0 && path[folder_length] != '/') return 0;
    snprintf(current, sizeof current, "%s", path);
    return 1;
}

static int path_of(int number, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static int counts_at(int base, const char *path) {
    char full[2 * PATH_MAX];
    if (!folder_length || !path) return 0;
    if (path[0] == '/') return is_below(path);
    if (base == AT_FDCWD ? !getcwd(full, PATH_MAX) : !path_of(base, full)) return 0;
    size_t length = strlen(full);
    snprintf(full + length, sizeof full - length, "/%s", path);
    return is_below(full);
}

static int counts(int number) {
    char path[PATH_MAX];
    return folder_length && path_of(number, path) && is_below(path);
}

static void end(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

// Returns whether the call is to fail. At the chosen one the process is killed before it or, with
// KILL_HALF_WAY, by a caller that sees `half` and writes half of it first. A kill after a call is one before
// the next.
static int boundary(int *half, int fills) {
    long number = ++calls;
    if (fills && ((mode == FULL && number >= chosen) || (mode == FULL_ONCE && number == chosen))) {
        if (!failed[0]) snprintf(failed, sizeof failed, "%s", current);
        errno = ENOSPC;
        return 1;
    }
    if (number != chosen || (mode != KILL && mode != KILL_HALF_WAY)) return 0;
    if (mode == KILL_HALF_WAY && half) {
        *half = 1;
        return 0;
    }
    end();
    return 0;
}

// Found when the library is loaded: a process that is forked while another thread uses the linker would wait
// for it forever. The second search is for calls before that.
#define FIND(name)                                                                           \
    static __typeof__(name) *real_##name;                                                    \
    __attribute__((constructor)) static void find_##name(void) {                             \
        if (!real_##name) real_##name = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);         \
    }
#define REAL(name) (find_##name(), real_##name)

#define OPEN(name, base, parameters, arguments)                                              \
    FIND(name)                                                                               \
    int name parameters {                                                                    \
        va_list more;                                                                        \
        va_start(more, flags);                                                               \
        mode_t bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;              \
        va_end(more);                                                                        \
        if (flags & (O_CREAT | O_TRUNC) && counts_at(base, path) &&                          \
            boundary(NULL, flags & O_CREAT && faccessat(base, path, F_OK, 0) != 0))          \
            return -1;                                                                       \
        return REAL(name) arguments;                                                         \
    }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, bits))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, bits))
OPEN(openat, base, (int base, const char *path, int flags, ...), (base, path, flags, bits))
OPEN(openat64, base, (int base, const char *path, int flags, ...), (base, path, flags, bits))

#define FOPEN(name)                                                                          \
    FIND(name)                                                                               \
    FILE *name(const char *path, const char *how) {                                          \
        if (strpbrk(how, "wa") && counts_at(AT_FDCWD, path) && boundary(NULL, 1)) return NULL; \
        return REAL(name)(path, how);                                                        \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define WRITE(type, name, parameters, arguments, halved)                                     \
    FIND(name)                                                                               \
    type name parameters {                                                                   \
        int half = 0;                                                                        \
        if (counts(number) && boundary(&half, 1)) return -1;                                 \
        if (half) {                                                                          \
            (void)!REAL(name) halved;                                                        \
            end();                                                                           \
        }                                                                                    \
        return REAL(name) arguments;                                                         \
    }
WRITE(ssize_t, write, (int number, const void *from, size_t size), (number, from, size), (number, from, size / 2))
WRITE(ssize_t, pwrite, (int number, const void *from, size_t size, off_t at), (number, from, size, at),
      (number, from, size / 2, at))
WRITE(ssize_t, pwrite64, (int number, const void *from, size_t size, off_t at), (number, from, size, at),
      (number, from, size / 2, at))
WRITE(ssize_t, writev, (int number, const struct iovec *from, int size), (number, from, size),
      (number, from, size / 2))
WRITE(ssize_t, sendfile, (int number, int from, off_t *at, size_t size), (number, from, at, size),
      (number, from, at, size / 2))
WRITE(ssize_t, copy_file_range,
      (int from, off_t *at, int number, off_t *to, size_t size, unsigned int flags),
      (from, at, number, to, size, flags), (from, at, number, to, size / 2, flags))

#define CALL(name, parameters, arguments, counted, fills)                                    \
    FIND(name)                                                                               \
    int name parameters {                                                                    \
        if ((counted) && boundary(NULL, fills)) return -1;                                   \
        return REAL(name) arguments;                                                         \
    }
CALL(fsync, (int number), (number), counts(number), 1)
CALL(fdatasync, (int number), (number), counts(number), 1)
CALL(ftruncate, (int number, off_t size), (number, size), counts(number), 0)
CALL(ftruncate64, (int number, off_t size), (number, size), counts(number), 0)
CALL(mkdir, (const char *path, mode_t bits), (path, bits), counts_at(AT_FDCWD, path),
     access(path, F_OK) != 0)
CALL(mkdirat, (int base, const char *path, mode_t bits), (base, path, bits), counts_at(base, path),
     faccessat(base, path, F_OK, 0) != 0)
CALL(rmdir, (const char *path), (path), counts_at(AT_FDCWD, path), 0)
CALL(unlink, (const char *path), (path), counts_at(AT_FDCWD, path), 0)
CALL(unlinkat, (int base, const char *path, int flags), (base, path, flags), counts_at(base, path), 0)
CALL(rename, (const char *path, const char *to), (path, to), counts_at(AT_FDCWD, to), 1)
CALL(renameat, (int base, const char *path, int other, const char *to), (base, path, other, to),
     counts_at(other, to), 1)
CALL(link, (const char *path, const char *to), (path, to), counts_at(AT_FDCWD, to), 1)
CALL(linkat, (int base, const char *path, int other, const char *to, int flags),
     (base, path, other, to, flags), counts_at(other, to), 1)
CALL(chmod, (const char *path, mode_t bits), (path, bits), counts_at(AT_FDCWD, path), 0)
