/* The wall clock of a process stands where the file STOPPED_CLOCK says: a 64-bit number of microseconds. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static const volatile int64_t *shown;

__attribute__((constructor)) static void find(void)
{
    int file = open(getenv("STOPPED_CLOCK"), O_RDONLY);
    void *page = mmap(NULL, sizeof *shown, PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || page == MAP_FAILED)
        abort();
    close(file);
    shown = page;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    int64_t now = *shown;
    time->tv_sec = now / 1000000;
    time->tv_usec = now % 1000000;
    return 0;
}
